//! The operators' files: whatever stands in them, the answer is a configuration or a sentence.

use std::str;

#[path = "../../../actors/server/src/catalogue.rs"]
#[allow(dead_code)]
mod catalogue;
#[path = "../../../actors/server/src/config.rs"]
#[allow(dead_code)]
mod file;

pub fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match file::parse(text) {
        Ok(config) => {
            let rest = config.rest;
            let is_safe =
                rest.listen.ip().is_loopback() || rest.tls_certificate_file.is_some() || rest.behind_tls_proxy;
            assert!(is_safe, "without TLS it listens on loopback only");
        }
        Err(reason) => assert!(!reason.is_empty(), "a refusal says why"),
    }
    if let Err(reason) = catalogue::parse(text) {
        assert!(!reason.is_empty(), "a refusal says why");
    }
}
