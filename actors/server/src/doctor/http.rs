//! One GET of a probe, in the clear or over TLS; and the certificate that is shown.
//!
//! Whose certificate it is does not matter here: the address is our own service's, nothing secret is sent, and whether
//! clients trust the certificate depends on what they trust.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, ring::default_provider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

const LIMIT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read at most: a status line and some headers.
const ANSWER_LIMIT: u64 = 4096;

/// `Ok` when the answer is 200; otherwise what came in its place.
pub fn get(api: &str, path: &str) -> Result<(), String> {
    let (scheme, authority) = api.split_once("://").ok_or("it is no address")?;
    let (stream, address) = connect(authority)?;
    let status = match scheme {
        "https" => exchange(secured(stream, address).map_err(|error| error.to_string())?, authority, path),
        _ => exchange(stream, authority, path),
    };
    match status?.as_str() {
        "200" => Ok(()),
        other => Err(format!("the answer is {other}")),
    }
}

/// The certificate that is shown, then its chain.
pub fn shown_chain(api: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let (stream, address) = connect(api.strip_prefix("https://").ok_or("it is served in the clear")?)?;
    let mut secured = secured(stream, address).map_err(|error| error.to_string())?;
    secured.conn.complete_io(&mut secured.sock).map_err(|error| error.to_string())?;
    let chain = secured.conn.peer_certificates().unwrap_or_default();
    Ok(chain.iter().map(|certificate| certificate.clone().into_owned()).collect())
}

fn connect(authority: &str) -> Result<(TcpStream, SocketAddr), String> {
    let address = authority.to_socket_addrs().map_err(|error| error.to_string())?.next().ok_or("it has no address")?;
    let stream = TcpStream::connect_timeout(&address, LIMIT).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(LIMIT)).map_err(|error| error.to_string())?;
    stream.set_write_timeout(Some(LIMIT)).map_err(|error| error.to_string())?;
    Ok((stream, address))
}

/// The status of the answer.
fn exchange(mut stream: impl Read + Write, host: &str, path: &str) -> Result<String, String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    // A connection that is not closed in order has answered all the same.
    let read = stream.take(ANSWER_LIMIT).read_to_end(&mut answer);
    let line = String::from_utf8_lossy(&answer);
    let status = line.split(' ').nth(1).filter(|_| line.starts_with("HTTP/1."));
    match (status, read) {
        (Some(status), _) => Ok(status.to_owned()),
        (None, Err(error)) => Err(error.to_string()),
        (None, Ok(_)) => Err("there is no answer".into()),
    }
}

fn secured(stream: TcpStream, address: SocketAddr) -> Result<StreamOwned<ClientConnection, TcpStream>, Error> {
    let provider = Arc::new(default_provider());
    let anybody = Anybody(provider.signature_verification_algorithms);
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(anybody))
        .with_no_client_auth();
    let name = ServerName::IpAddress(address.ip().into());
    Ok(StreamOwned::new(ClientConnection::new(Arc::new(config), name)?, stream))
}

/// Takes every certificate whose key the other side has.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
