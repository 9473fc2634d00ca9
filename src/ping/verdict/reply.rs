//! Determines the verdict on an unexpected response to any command.

use super::error_reply::error_reply;
use super::finding::{Finding, alert_name};
use super::no_reply::{closed, timeout};
use super::other_protocol::{not_redis, unexpected_reply};
use super::tls::client_certificate;
use crate::ping::causes::Cause;
use crate::ping::observation::Observations;
use crate::ping::response::Response;

pub(super) fn unusable(response: &Response, command: &str, seen: &Observations) -> Finding {
    match response {
        Response::Reply(_) => match response.error() {
            Some(error) => error_reply(&error, command, seen),
            None => unexpected_reply(response, command),
        },
        Response::NotResp(received) => not_redis(received, &format!("in reply to {command}")),
        Response::Alert(alert) => {
            client_certificate(*alert, seen.tls.handshake.as_ref()).unwrap_or_else(|| {
                Finding::likely(Cause::ProtoClosed)
                    .summary("the server ends the TLS session with an alert")
                    .fact(format!("the server sent the TLS alert {}", alert_name(*alert)))
            })
        }
        Response::Closed(received) => closed("closed", received, command, seen),
        Response::Reset(received) => closed("reset", received, command, seen),
        Response::Timeout(received) => timeout(received, command, seen),
    }
}
