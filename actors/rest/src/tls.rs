//! The certificate that the API shows, exchanged while connections stay.
//!
//! TLS 1.2 and 1.3, by rustls. A pair that cannot be used is refused at the start; later the pair before it stays.

mod ends;

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};

pub use ends::ends_at;

/// Why a pair of files cannot be used. It says nothing of the key's content.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{0}: {1}")]
    File(PathBuf, #[source] io::Error),
    #[error("{0}: {1}")]
    Pem(PathBuf, #[source] pem::Error),
    #[error("{0}: there is no certificate in it")]
    Empty(PathBuf),
    #[error("{0}: everybody may read this key (mode {1:04o}); chmod o-rwx it")]
    Open(PathBuf, u32),
    #[error("{0} and {1} do not belong together, or are of a kind that is not supported: {2}")]
    Pair(PathBuf, PathBuf, #[source] rustls::Error),
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

/// A certificate with its chain and its key, from two PEM files that may be replaced at any time.
#[derive(Debug)]
pub struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
    seen: RwLock<[Stamp; 2]>,
}

/// What tells a file from the one that was there before.
type Stamp = Option<(u64, u64, SystemTime)>;

impl Certificates {
    /// Reads the pair.
    pub fn open(certificate: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        let seen = RwLock::new(stamps(certificate, key));
        let current = RwLock::new(read(certificate, key)?);
        Ok(Arc::new(Self { certificate: certificate.into(), key: key.into(), current, seen }))
    }

    /// Reads the pair again; connections that are there keep theirs. After an error the pair before it stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        // The stamps first: what changes while it is read is read again.
        *self.seen.write().unwrap_or_else(PoisonError::into_inner) = stamps(&self.certificate, &self.key);
        let pair = read(&self.certificate, &self.key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = pair;
        Ok(())
    }

    /// As [`ends_at`] says of the chain.
    ///
    /// # Errors
    /// As there.
    pub fn ends_at(&self) -> Result<u64, rustls::Error> {
        ends_at(&self.current.read().unwrap_or_else(PoisonError::into_inner).cert)
    }

    /// Whether the files are other ones than at the last look.
    pub fn have_changed(&self) -> bool {
        *self.seen.read().unwrap_or_else(PoisonError::into_inner) != stamps(&self.certificate, &self.key)
    }

    pub(crate) fn server_config(self: &Arc<Self>) -> Result<ServerConfig, rustls::Error> {
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        Ok(config)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn read(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, TlsError> {
    let pem = |path: &Path| {
        let path = path.to_owned();
        move |error| TlsError::Pem(path, error)
    };
    let file = |path: &Path| fs::read(path).map_err(|error| TlsError::File(path.to_owned(), error));
    let chain =
        CertificateDer::pem_slice_iter(&file(certificate)?).collect::<Result<Vec<_>, _>>().map_err(pem(certificate))?;
    if chain.is_empty() {
        return Err(TlsError::Empty(certificate.to_owned()));
    }
    let mode = fs::metadata(key).map_err(|error| TlsError::File(key.to_owned(), error))?.mode() & 0o7777;
    if mode & 0o007 != 0 {
        return Err(TlsError::Open(key.to_owned(), mode));
    }
    let private = PrivateKeyDer::from_pem_slice(&file(key)?).map_err(pem(key))?;
    let pair = CertifiedKey::from_der(chain, private, &default_provider());
    pair.map(Arc::new).map_err(|error| TlsError::Pair(certificate.to_owned(), key.to_owned(), error))
}

fn stamps(certificate: &Path, key: &Path) -> [Stamp; 2] {
    [certificate, key].map(|path| {
        let file = fs::metadata(path).ok()?;
        Some((file.ino(), file.len(), file.modified().ok()?))
    })
}
