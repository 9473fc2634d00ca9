//! Reads the PEM files that the TLS options name.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

use crate::ping::rungs::tcp::errno_text;
use crate::sanitize;

/// Reads the certificates in a file. Returns at least one certificate.
///
/// # Errors
///
/// Returns a message that names the option.
pub(super) fn certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let error = |message: String| format!("{option} {}: {message}", shown(path));
    let all: Vec<_> = open(path)
        .and_then(|file| CertificateDer::pem_reader_iter(file).collect())
        .map_err(|cause| error(pem_error("certificate", &cause)))?;
    if all.is_empty() {
        Err(error("the file contains no PEM certificate".into()))
    } else {
        Ok(all)
    }
}

/// The maximum size of a PEM file, in bytes. The limit keeps files such as /dev/zero from filling the memory.
const MAX_PEM_BYTES: u64 = 16 * 1024 * 1024;

pub(super) fn open(path: &Path) -> Result<impl BufRead + use<>, pem::Error> {
    let file = File::open(path).map_err(pem::Error::Io)?;
    Ok(BufReader::new(file.take(MAX_PEM_BYTES)))
}

/// Describes why a PEM file cannot be used. `wanted` describes the expected contents.
pub(super) fn pem_error(wanted: &str, error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => format!(
            "cannot be read ({}); check the path and its permissions",
            errno_text(error)
        ),
        other => format!("the file contains no PEM {wanted} ({other})"),
    }
}

pub(super) fn shown(path: &Path) -> String {
    sanitize::line(&path.display().to_string()).into_owned()
}
