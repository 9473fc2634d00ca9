//! Lists the parsers of untrusted input, as functions that take bytes. The fuzz targets in `fuzz/` and
//! `tests/fuzzing.rs` run these functions.

use std::time::Duration;

use crate::aws::{self, Documents};
use crate::learn;
use crate::ping;
use crate::practice;
use crate::redis_client;
use crate::redis_url::Target;
use crate::secret::attack;
use crate::serve;
use crate::session::{SigningKey, Token};

pub use crate::ping::report::{json, steps, text};
pub use crate::redis_client::{Limits, measure};
pub use crate::ui::markdown;

/// A parser, and valid inputs that the tests change at random.
#[derive(Debug)]
pub struct Parser {
    /// The name of the parser's fuzz target.
    pub name: &'static str,
    /// A function that parses arbitrary bytes. It must not panic.
    pub run: fn(&[u8]),
    /// Valid inputs of the parser.
    pub seeds: &'static [&'static [u8]],
}

/// All parsers of untrusted input.
pub const PARSERS: &[Parser] = &[
    Parser {
        name: "resp_request",
        run: practice::read_requests,
        seeds: &[
            b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n",
            b"SET \"a\\x00b\" 'c'\r\nGET k\r\n",
        ],
    },
    Parser {
        name: "resp_reply",
        run: redis_client::read_replies,
        seeds: &[
            b"*2\r\n$1\r\na\r\n:1\r\n",
            b"%1\r\n+k\r\n(12345678901234567890\r\n",
            b"=5\r\ntxt:a\r\n",
            b"-ERR no\r\n",
            b"|1\r\n+ttl\r\n:3\r\n~1\r\n,1.5\r\n",
        ],
    },
    Parser {
        name: "redis_url",
        run: |bytes| drop(Target::parse(&String::from_utf8_lossy(bytes))),
        seeds: &[
            b"redis://ada:p%40ss@cache.example:6379/0?timeout=1",
            b"rediss://[::1]:6380",
            b"redis+sentinel://:secret@one:26379,two:26379/mymaster/1",
            b"cache.example:6380,password=secret,ssl=True,abortConnect=False",
            b"redis-cli --tls -h cache.example -p 6380 -a secret",
        ],
    },
    Parser {
        name: "dns_response",
        run: ping::rungs::dns::read_response,
        seeds: &[
            b"\0\0\x81\x80\0\x01\0\x01\0\0\0\0\x01h\x07example\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x01",
            b"\0\0\x81\x83\0\x01\0\0\0\0\0\0\x01h\x07example\0\0\x01\0\x01",
        ],
    },
    Parser {
        name: "certificate",
        run: ping::rungs::tls::read_certificate,
        seeds: &[b"\x30\x82\x01\x00\x30\x81\xa6\xa0\x03\x02\x01\x02\x02\x01\x01\x30\x0a"],
    },
    Parser {
        name: "http_form",
        run: serve::read_form_and_cookies,
        seeds: &[b"username=ada+lovelace%21", b"session=abc; other=\"x\"; session=def"],
    },
    Parser {
        name: "session_cookie",
        run: |bytes| {
            let text = String::from_utf8_lossy(bytes);
            drop((Token::parse(&text), SigningKey::new(b"key").verify("step 1", &text, 0, Duration::MAX)));
        },
        seeds: &[b"YWRh.qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo"],
    },
    Parser {
        name: "secret_filter",
        run: |bytes| assert!(attack::fails(bytes), "a part of a secret was shown"),
        seeds: &[b"Plover-4417 unknown command", b"p%40ss\\x41\"word, with args"],
    },
    Parser {
        name: "aws_documents",
        run: |bytes| {
            let mut documents = Documents::default();
            documents.add_text(&String::from_utf8_lossy(bytes));
            drop(aws::judge(&documents.facts.clone().unwrap_or_default(), &documents));
        },
        seeds: &[
            include_bytes!("../tests/aws/networks/missing-ingress/facts.json"),
            include_bytes!("../tests/aws/networks/missing-ingress/network-interfaces.json"),
            include_bytes!("../tests/aws/networks/missing-ingress/security-groups.json"),
            include_bytes!("../tests/aws/networks/missing-ingress/network-acls.json"),
            b"### aws ec2 get-managed-prefix-list-entries --prefix-list-id pl-1\n{\"Entries\": []}\n### end\n",
            b"An error occurred (AccessDenied) when calling the DescribeSubnets operation: no\n",
        ],
    },
    Parser {
        name: "lesson",
        run: |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let _ = learn::is_valid_lesson("01-a.md", &text);
            drop(markdown::lines(&text, 40));
        },
        seeds: &[
            b"# Reach\n\n> Promise.\n\n## Ping\n\n```redis\n> PING\nPONG\n```\n",
            b"# A\n\n> B\n\n## C\n\n```quiz\nWhy?\n- [x] a\n  : b\n- [ ] c\n  : d\n```\n",
        ],
    },
];

/// Runs the parser `name` on `bytes`.
///
/// # Panics
///
/// Panics if there is no such parser, or if the parser panics.
pub fn run(name: &str, bytes: &[u8]) {
    let parser = PARSERS.iter().find(|parser| parser.name == name);
    (parser.expect("the fuzz target has the name of a parser").run)(bytes);
}
