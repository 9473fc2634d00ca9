//! Determines what is wrong with a certificate that webpki has rejected.

use rustls::pki_types::ServerName;
use rustls::{CertificateError, Error};

use super::certificate::NamePath;
use crate::ping::observation::{CertificateProblem, PeerCertificate};
use crate::sanitize;

pub(super) fn problem(
    error: &Error,
    path: &NamePath,
    own: Option<&PeerCertificate>,
    name: &ServerName<'_>,
) -> CertificateProblem {
    use CertificateError as Fault;
    let Error::InvalidCertificate(fault) = error else {
        return CertificateProblem::Invalid(plain(error));
    };
    match fault {
        Fault::Expired | Fault::ExpiredContext { .. } => return CertificateProblem::Expired,
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => return CertificateProblem::NotValidYet,
        Fault::NotValidForName | Fault::NotValidForNameContext { .. } => {
            return match own {
                Some(own) if names_only_in_subject(own, name) => CertificateProblem::Unsupported(
                    "the certificate lists no host name in subjectAltName; it contains its name only as the common name of \
                     the subject"
                        .into(),
                ),
                _ => CertificateProblem::OtherName,
            };
        }
        Fault::InvalidPurpose | Fault::InvalidPurposeContext { .. } => {
            return CertificateProblem::Invalid(
                "the certificate's extendedKeyUsage does not include serverAuth".into(),
            );
        }
        _ => {}
    }
    if !path.is_trusted {
        // A self-signed certificate is reported as untrusted, whatever its other faults, because clients only
        // need to trust it.
        let is_signed_by_another = own.is_some_and(|own| !own.is_self_signed);
        return match fault {
            Fault::BadSignature if is_signed_by_another => CertificateProblem::WrongSignature,
            _ => CertificateProblem::UnknownIssuer,
        };
    }
    match (&path.unsupported, fault) {
        (Some(what), _) => CertificateProblem::Unsupported(what.clone()),
        (None, Fault::UnknownIssuer | Fault::BadSignature) => CertificateProblem::WrongSignature,
        (None, Fault::BadEncoding) => CertificateProblem::Unsupported(
            "a certificate in the chain is not encoded as strictly as X.509 requires".into(),
        ),
        (None, Fault::Other(reason)) => of_webpki(&reason.to_string()),
        (
            None,
            Fault::UnsupportedSignatureAlgorithmContext { .. }
            | Fault::UnsupportedSignatureAlgorithmForPublicKeyContext { .. },
        ) => CertificateProblem::Unsupported(
            "a certificate in the chain has a signature with an unsupported algorithm".into(),
        ),
        (None, other) => CertificateProblem::Invalid(plain(other)),
    }
}

/// Interprets an error of webpki that rustls has no variant for. `reason` contains its name.
fn of_webpki(reason: &str) -> CertificateProblem {
    let is = |name: &str| reason.contains(name);
    match () {
        () if is("NameConstraintViolation") => CertificateProblem::NotPermitted,
        () if is("CaUsedAsEndEntity") => CertificateProblem::Unsupported(
            "the server's certificate is a CA certificate (basicConstraints CA:TRUE)".into(),
        ),
        () if is("EndEntityUsedAsCa") => CertificateProblem::InvalidIssuer(
            "the certificate that signed another one in the chain is not a CA certificate (basicConstraints CA:TRUE is \
             missing)"
                .into(),
        ),
        () if is("PathLenConstraintViolated") => CertificateProblem::InvalidIssuer(
            "a CA in the chain is not permitted to sign the certificate of another CA (basicConstraints pathlen)"
                .into(),
        ),
        () if is("UnsupportedCriticalExtension") => CertificateProblem::Invalid(
            "a certificate in the chain has an unknown extension that is marked as critical".into(),
        ),
        () => CertificateProblem::Invalid(plain(&reason)),
    }
}

/// Whether the host name is only among the subject's common names, which old clients accept (RFC 2818, 3.1).
fn names_only_in_subject(own: &PeerCertificate, name: &ServerName<'_>) -> bool {
    let ServerName::DnsName(name) = name else {
        return false;
    };
    let name = name.as_ref();
    let is_match = |common: &String| match common.strip_prefix("*.") {
        Some(parent) => name
            .split_once('.')
            .is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent)),
        None => common.eq_ignore_ascii_case(name),
    };
    own.names.is_empty() && own.common_names.iter().any(is_match)
}

/// Returns the message of a TLS library's error. Splits a name such as `UnhandledCriticalExtension` into
/// words.
fn plain(error: &impl ToString) -> String {
    let text = error.to_string();
    // An error inside another one, such as `Other(OtherError(BadDer))`, is the most specific.
    let inner = text.rsplit('(').next().unwrap_or_default().trim_end_matches(')');
    let text = sanitize::line(if inner.contains(' ') { &text } else { inner });
    if text.contains(' ') {
        return text.into_owned();
    }
    let mut words = String::new();
    for letter in text.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_webpki_are_explained_without_the_names_of_its_types() {
        let wrapped = |name: &str| of_webpki(&format!("Other(OtherError({name}))"));
        for name in ["PathLenConstraintViolated", "EndEntityUsedAsCa"] {
            assert!(
                matches!(wrapped(name), CertificateProblem::InvalidIssuer(_)),
                "{name}"
            );
        }
        assert_eq!(
            wrapped("MaximumSignatureChecksExceeded"),
            CertificateProblem::Invalid("maximum signature checks exceeded".into())
        );
    }
}
