//! Checks that the verdict reports the right cause for given observations. There is one file per layer. The
//! wording is tested in [`situations`].

mod aws;
pub(in crate::ping) mod consistency;
mod dns;
mod idle;
mod ping;
mod role;
mod situations;
mod tcp;
mod tls;
mod warnings;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::judge;
use crate::ping::causes::Cause;
use crate::ping::observation::{
    CertificateProblem, Dial, DialResult, Endpoint, Experiment, Handshake, Observations, PeerCertificate,
    TlsResult, TrustedCas,
};
use crate::ping::response::Response;
use crate::redis_url::Target;

fn target(url: &str) -> Target {
    Target::parse(url).unwrap()
}

fn dial(result: DialResult) -> Dial {
    let address: SocketAddr = "10.0.3.17:6379".parse().unwrap();
    Dial {
        to: Endpoint::Ip(address),
        result,
        took: Duration::from_secs(3),
    }
}

fn connected() -> Observations {
    Observations::default().with(|seen| seen.tcp.dials = vec![dial(DialResult::Connected)])
}

fn reply(text: &str) -> Response {
    Response::Reply(redis::parse_redis_value(format!("{text}\r\n").as_bytes()).unwrap())
}

fn cause(url: &str, seen: &Observations) -> Option<&'static str> {
    judge(&target(url), seen)
        .finding
        .map(|finding| finding.cause.code())
}

fn tls_handshake(
    result: TlsResult,
    certificate_problem: Option<CertificateProblem>,
    certificate: Option<PeerCertificate>,
) -> Handshake {
    Handshake {
        result,
        certificate_problem,
        chain: certificate.into_iter().collect(),
        leads_to_trusted_ca: false,
        expected_name: "cache.example".into(),
        version: None,
        took: Duration::from_secs(3),
        packets: None,
        clock: 1_800_000_000,
        trusted: TrustedCas {
            count: 140,
            ..TrustedCas::default()
        },
        client_certificate: None,
        client_certificate_request: None,
    }
}

/// Returns observations of a handshake that failed because of this certificate problem.
fn rejected(problem: CertificateProblem, certificate: PeerCertificate) -> Observations {
    connected().with(|seen| {
        seen.tls.handshake = Some(tls_handshake(
            TlsResult::CertificateRejected,
            Some(problem),
            Some(certificate),
        ));
    })
}

fn handshake(
    result: TlsResult,
    plain_ping: Option<Response>,
    certificate: Option<PeerCertificate>,
) -> Observations {
    connected().with(|seen| {
        seen.tls.handshake = Some(tls_handshake(result, None, certificate));
        seen.experiments.other_protocol = plain_ping.map(Experiment::PlainPing);
    })
}

pub(super) fn warned(seen: &Observations) -> Vec<Cause> {
    let warnings = judge(&target("redis://10.0.3.17"), seen).warnings;
    warnings.iter().map(|warning| warning.cause).collect()
}

pub(super) fn with_info(fields: &[(&str, &str)]) -> Observations {
    let mut seen = connected().with(|seen| seen.ping.response = Some(reply("+PONG")));
    let fields = fields
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()));
    seen.server.fields = Arc::new(fields.collect());
    seen
}
