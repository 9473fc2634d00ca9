//! The style sheet, the script and the icon, from inside the binary.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

/// A file that never changes while the program runs.
pub(super) struct Asset {
    pub(super) path: &'static str,
    kind: &'static str,
    text: &'static str,
}

/// All of them.
pub(super) static ALL: [Asset; 3] = [
    Asset {
        path: "/style.css",
        kind: "text/css; charset=utf-8",
        text: include_str!("assets/style.css"),
    },
    Asset {
        path: "/live.js",
        kind: "text/javascript; charset=utf-8",
        text: include_str!("assets/live.js"),
    },
    Asset {
        path: "/icon.svg",
        kind: "image/svg+xml",
        text: include_str!("assets/icon.svg"),
    },
];

impl Asset {
    /// The file, or 304 where the browser has it already.
    pub(super) fn answer(&self, headers: &HeaderMap) -> Response {
        let tag = self.tag();
        let has_it = headers
            .get_all(IF_NONE_MATCH)
            .iter()
            .any(|known| known.as_bytes() == tag.as_bytes());
        let mut response = if has_it {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        } else {
            Response::new(Body::from(self.text))
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        // Kept, and asked about each time: another version of the program may stand at the same address next.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(ETAG, tag);
        }
        response
    }

    /// FNV-1a over the text: tells versions apart, protects nothing.
    fn tag(&self) -> String {
        let hash = self.text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("\"{hash:016x}\"")
    }
}
