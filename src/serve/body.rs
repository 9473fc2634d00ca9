//! A request's body, read within its limits of size and time.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::HeaderMap;
use axum::http::header::{EXPECT, TRANSFER_ENCODING};
use futures_util::StreamExt;

use crate::deadline::Deadline;

/// Bytes that a form may have.
pub(super) const LONGEST: usize = 16 * 1024;
/// Bytes beyond it that are still read and thrown away: a client that is cut off while it sends never sees why.
const DRAINED: usize = 1024 * 1024;
/// For the whole body to come.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no body to work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyFault {
    /// More than [`LONGEST`] bytes.
    TooLong,
    /// In chunks: forms have a length, and two ways to tell one are how requests get smuggled (RFC 9112, section 11.2).
    Chunked,
    /// It stopped coming.
    TimedOut,
    /// The client went away, or what it sent is no body.
    Broken,
}

/// Reads the whole body.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, BodyFault> {
    let mut rest = body.into_data_stream();
    let is_too_long = announced(headers) > LONGEST;
    // Whoever asks first is told before sending; of chunks nobody knows yet how many there are.
    if is_too_long && headers.contains_key(EXPECT) {
        return Err(BodyFault::TooLong);
    }
    let read = Deadline::after(TIMEOUT).bound(collect(&mut rest)).await;
    let bytes = read.map_err(|_| match is_too_long {
        true => BodyFault::TooLong,
        false => BodyFault::TimedOut,
    })??;
    if headers.contains_key(TRANSFER_ENCODING) {
        return Err(BodyFault::Chunked);
    }
    Ok(bytes)
}

fn announced(headers: &HeaderMap) -> usize {
    headers
        .get(axum::http::header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse().ok())
        .unwrap_or(0)
}

async fn collect(rest: &mut BodyDataStream) -> Result<Vec<u8>, BodyFault> {
    let mut bytes = Vec::new();
    let mut seen = 0;
    while let Some(chunk) = rest.next().await {
        let chunk = chunk.map_err(|_| BodyFault::Broken)?;
        seen += chunk.len();
        if seen <= LONGEST {
            bytes.extend_from_slice(&chunk);
        } else if seen > LONGEST + DRAINED {
            break;
        }
    }
    if seen > LONGEST {
        Err(BodyFault::TooLong)
    } else {
        Ok(bytes)
    }
}
