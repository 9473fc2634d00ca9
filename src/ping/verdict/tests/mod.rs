//! Observations, and the cause that the verdict reports for them. There is one file per rung; the wording is tested
//! in [`situations`].

mod auth;
mod dns;
mod ping;
mod role;
mod situations;
mod tcp;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use super::judge;
use crate::ping::observation::{
    Dial, DialResult, Endpoint, Experiment, Handshake, Observations, PeerCertificate, TlsResult,
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
    Observations {
        dials: vec![dial(DialResult::Connected)],
        ..Observations::default()
    }
}

fn reply(text: &str) -> Response {
    Response::Reply(redis::parse_redis_value(format!("{text}\r\n").as_bytes()).unwrap())
}

fn cause(url: &str, seen: &Observations) -> Option<&'static str> {
    judge(&target(url), seen)
        .finding
        .map(|finding| finding.cause.code())
}

fn handshake(
    result: TlsResult,
    plain_ping: Option<Response>,
    certificate: Option<PeerCertificate>,
) -> Observations {
    let tls = Handshake {
        result,
        certificate,
        expected_name: "cache.example".into(),
        version: None,
        took: Duration::from_secs(3),
        packets: None,
    };
    Observations {
        tls: Some(tls),
        experiment: plain_ping.map(Experiment::PlainPing),
        ..connected()
    }
}
