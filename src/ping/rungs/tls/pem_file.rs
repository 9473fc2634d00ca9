//! Reads the PEM files that the TLS options name.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::ping::rungs::tcp::errno_text;
use crate::sanitize;

/// The maximum size of a PEM file, in bytes. The limit keeps files such as /dev/zero from filling the memory.
const MAX_PEM_BYTES: u64 = 16 * 1024 * 1024;
/// The time limit for reading a PEM file, which may be a pipe.
const READ_WITHIN: Duration = Duration::from_secs(3);

/// Reads the certificates in a file. Returns at least one certificate, or a message that names the option.
pub(super) fn certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    read(option, "certificate", path, |text| {
        let all: Vec<_> = CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>()?;
        if all.is_empty() {
            return Err(pem::Error::NoItemsFound);
        }
        Ok(all)
    })
}

/// Reads the private key in a file. Returns a message that names the option if this fails.
pub(super) fn private_key(option: &str, path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    read(option, "private key", path, PrivateKeyDer::from_pem_slice)
}

/// Reads a file once, because the file may be a pipe, and parses its text. `wanted` describes the expected
/// contents.
fn read<T>(
    option: &str,
    wanted: &str,
    path: &Path,
    parse: impl FnOnce(&[u8]) -> Result<T, pem::Error>,
) -> Result<T, String> {
    let (text, parsed) = match contents(path) {
        Ok(text) => {
            let parsed = parse(&text);
            (text, parsed)
        }
        Err(error) => (Vec::new(), Err(pem::Error::Io(error))),
    };
    parsed.map_err(|error| {
        let why = describe_error(wanted, &error, &String::from_utf8_lossy(&text));
        format!("{option} {}: {why}", shown(path))
    })
}

/// Reads a file in a thread, because a pipe without a writer would block forever.
fn contents(path: &Path) -> io::Result<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    let path = path.to_owned();
    let read = move || {
        let mut text = Vec::new();
        let read = File::open(path).and_then(|file| file.take(MAX_PEM_BYTES).read_to_end(&mut text));
        // After the time limit, the result is no longer needed.
        let _ = sender.send(read.map(|_| text));
    };
    thread::Builder::new().name("PEM file".into()).spawn(read)?;
    receiver
        .recv_timeout(READ_WITHIN)
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no data within 3 s")))
}

/// Describes why a PEM file cannot be used. `wanted` describes the expected contents.
fn describe_error(wanted: &str, error: &pem::Error, text: &str) -> String {
    let labels: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----"))
        .map(|label| label.get(..40).unwrap_or(label))
        .collect();
    // Both forms of encryption are in use: the label of RFC 7468, 11, and the header of RFC 1421, 4.6.1.1.
    let is_encrypted = labels.contains(&"ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED");
    match error {
        pem::Error::Io(error) => format!(
            "cannot be read ({}); check the path and its permissions",
            errno_text(error)
        ),
        _ if wanted == "private key" && is_encrypted => {
            "the private key in the file is encrypted with a passphrase, which this program cannot ask for: write a \
             decrypted copy with `openssl pkey -in FILE -out COPY`, which asks for the passphrase"
                .to_owned()
        }
        pem::Error::NoItemsFound => match labels.first() {
            Some(first) => format!("the file contains no PEM {wanted}, but {}", sanitize::line(first)),
            None => format!(
                "the file contains no PEM {wanted}, and no other PEM data. Convert DER or PKCS#12 (.p12, .pfx) to PEM \
                 with openssl"
            ),
        },
        other => format!("the file contains no PEM {wanted} ({other})"),
    }
}

pub(super) fn shown(path: &Path) -> String {
    sanitize::line(&path.display().to_string()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_says_what_the_file_contains_instead() {
        let describe = |text: &str| describe_error("private key", &pem::Error::NoItemsFound, text);
        let begin = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
        assert!(describe(&begin("ENCRYPTED PRIVATE KEY")).contains("passphrase"));
        let old = begin("RSA PRIVATE KEY").replace("AAAA", "Proc-Type: 4,ENCRYPTED");
        assert!(describe(&old).contains("passphrase"));
        assert!(describe(&begin("CERTIFICATE")).contains("CERTIFICATE"));
        assert!(describe("\u{0}\u{1}").contains("PKCS#12"));
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_read_only_once_and_for_a_limited_time() {
        let folder = tempfile::tempdir().unwrap();
        let [silent, pipe] = ["silent", "pipe"].map(|name| {
            let pipe = folder.path().join(name);
            let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
            assert!(made.success());
            pipe
        });
        let error = private_key("--key", &silent).unwrap_err();
        assert!(error.contains("no data"), "{error}");
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || {
                std::fs::write(
                    pipe,
                    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                )
            }
        });
        let error = private_key("--key", &pipe).unwrap_err();
        writer.join().unwrap().unwrap();
        assert!(error.contains("CERTIFICATE"), "{error}");
    }
}
