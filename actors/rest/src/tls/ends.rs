//! When a certificate ends.

use std::time::Duration;

use rustls::{
    CertificateError, Error, RootCertStore,
    client::verify_server_cert_signed_by_trust_anchor,
    pki_types::{CertificateDer, UnixTime},
    server::ParsedCertificate,
};

/// Seconds since 1970 from which on the first certificate of a chain to end does not count.
///
/// # Errors
/// For what is no certificate, or none that rustls takes.
pub fn ends_at(chain: &[CertificateDer<'_>]) -> Result<u64, Error> {
    let ends = chain.iter().map(end_of).collect::<Result<Vec<_>, _>>()?;
    ends.into_iter().min().ok_or(Error::NoCertificatesPresented)
}

/// Asks the verifier about the end of all time: before it looks for an issuer it says that the certificate has ended,
/// and when. So nobody here takes certificates apart.
fn end_of(certificate: &CertificateDer<'_>) -> Result<u64, Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    let end_of_time = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX));
    match verify_server_cert_signed_by_trust_anchor(&parsed, &RootCertStore::empty(), &[], end_of_time, &[]) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => Ok(not_after.as_secs()),
        Err(error) => Err(error),
        Ok(()) => Err(Error::General("a certificate without end".into())),
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;

    use super::*;

    /// Made for this test by openssl; `ended.pem` was signed by `authority.pem`, whose own end comes later.
    const ENDED: &[u8] = include_bytes!("../../tests/certificates/ended.pem");
    const AUTHORITY: &[u8] = include_bytes!("../../tests/certificates/authority.pem");

    fn read(pem: &[u8]) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem).unwrap()
    }

    #[test]
    fn the_end_is_the_one_that_stands_in_the_certificate() {
        // notAfter=Jun  1 00:00:00 2020 GMT; Jan  1 00:00:00 2050 GMT.
        assert_eq!(ends_at(&[read(ENDED)]), Ok(1_590_969_600));
        assert_eq!(ends_at(&[read(AUTHORITY)]), Ok(2_524_608_000));
    }

    #[test]
    fn a_chain_ends_with_the_first_of_its_certificates() {
        assert_eq!(ends_at(&[read(AUTHORITY), read(ENDED)]), Ok(1_590_969_600));
        assert_eq!(ends_at(&[]), Err(Error::NoCertificatesPresented));
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        let der = read(ENDED);
        let cut = CertificateDer::from(&der[..der.len() / 2]);
        assert!(matches!(ends_at(&[cut]), Err(Error::InvalidCertificate(_))));
    }
}
