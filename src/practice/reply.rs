//! Replies, and how RESP2 and RESP3 write them.

use std::borrow::Cow;

/// A version of the protocol that a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// The version that every connection begins with.
    Resp2,
    /// The version that `HELLO 3` asks for.
    Resp3,
}

impl Protocol {
    pub(super) fn number(self) -> i64 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

/// What a command answers.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply {
    /// `+OK`
    Ok,
    /// A line that is made up as it goes (MONITOR).
    Status(String),
    /// A short text that is known beforehand.
    Simple(&'static str),
    /// An error, its code first.
    Error(Cow<'static, str>),
    /// A number.
    Int(i64),
    /// Bytes.
    Bulk(Vec<u8>),
    /// No value.
    Nil,
    /// No array: what EXEC answers when a watched key has changed.
    NilArray,
    /// Replies in an order.
    Array(Vec<Reply>),
    /// Pairs; a flat array in RESP2.
    Map(Vec<(Reply, Reply)>),
    /// Replies without an order; an array in RESP2.
    Set(Vec<Reply>),
    /// Pairs that are arrays of two in RESP3 and a flat array in RESP2 (HRANDFIELD … WITHVALUES).
    Pairs(Vec<(Reply, Reply)>),
    /// Out of band in RESP3; an array in RESP2.
    Push(Vec<Reply>),
    /// A text for people (INFO); plain bytes in RESP2.
    Verbatim(String),
    /// Several replies to one command (SUBSCRIBE), or none.
    Many(Vec<Reply>),
}

impl Reply {
    pub(super) fn text(text: impl Into<Vec<u8>>) -> Self {
        Self::Bulk(text.into())
    }

    /// Bytes, or no value.
    pub(super) fn maybe(bytes: Option<Vec<u8>>) -> Self {
        bytes.map_or(Self::Nil, Self::Bulk)
    }

    pub(super) fn count(number: usize) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }

    pub(super) fn truth(holds: bool) -> Self {
        Self::Int(i64::from(holds))
    }

    pub(super) fn bulks(items: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self::Array(items.into_iter().map(Self::Bulk).collect())
    }

    /// Writes the reply as it goes over the wire.
    pub(super) fn encode(&self, protocol: Protocol, out: &mut Vec<u8>) {
        let is_new = protocol == Protocol::Resp3;
        match self {
            Self::Ok => out.extend_from_slice(b"+OK\r\n"),
            Self::Simple(text) => line(out, b'+', text),
            Self::Status(text) => line(out, b'+', text),
            // A line feed would end the error and begin another reply.
            Self::Error(text) => line(out, b'-', &text.replace(['\r', '\n'], " ")),
            Self::Int(number) => line(out, b':', &number.to_string()),
            Self::Bulk(bytes) => blob(out, b'$', b"", bytes),
            Self::Nil if is_new => out.extend_from_slice(b"_\r\n"),
            Self::Nil => out.extend_from_slice(b"$-1\r\n"),
            Self::NilArray if is_new => out.extend_from_slice(b"_\r\n"),
            Self::NilArray => out.extend_from_slice(b"*-1\r\n"),
            Self::Verbatim(text) if is_new => blob(out, b'=', b"txt:", text.as_bytes()),
            Self::Verbatim(text) => blob(out, b'$', b"", text.as_bytes()),
            Self::Array(items) => list(out, b'*', items, protocol),
            Self::Set(items) => list(out, if is_new { b'~' } else { b'*' }, items, protocol),
            Self::Push(items) => list(out, if is_new { b'>' } else { b'*' }, items, protocol),
            Self::Map(pairs) if is_new => {
                line(out, b'%', &pairs.len().to_string());
                flat(out, pairs, protocol);
            }
            Self::Pairs(pairs) if is_new => {
                line(out, b'*', &pairs.len().to_string());
                for pair in pairs {
                    out.extend_from_slice(b"*2\r\n");
                    flat(out, std::slice::from_ref(pair), protocol);
                }
            }
            Self::Map(pairs) | Self::Pairs(pairs) => {
                line(out, b'*', &(pairs.len() * 2).to_string());
                flat(out, pairs, protocol);
            }
            Self::Many(replies) => replies.iter().for_each(|reply| reply.encode(protocol, out)),
        }
    }
}

fn line(out: &mut Vec<u8>, kind: u8, text: &str) {
    out.push(kind);
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn blob(out: &mut Vec<u8>, kind: u8, lead: &[u8], bytes: &[u8]) {
    line(out, kind, &(lead.len() + bytes.len()).to_string());
    out.extend_from_slice(lead);
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

fn list(out: &mut Vec<u8>, kind: u8, items: &[Reply], protocol: Protocol) {
    line(out, kind, &items.len().to_string());
    items.iter().for_each(|item| item.encode(protocol, out));
}

fn flat(out: &mut Vec<u8>, pairs: &[(Reply, Reply)], protocol: Protocol) {
    for (key, value) in pairs {
        key.encode(protocol, out);
        value.encode(protocol, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_writes_a_reply_in_its_own_way() {
        let pair = || (Reply::text("a"), Reply::Int(1));
        for (reply, resp2, resp3) in [
            (Reply::Nil, "$-1\r\n", "_\r\n"),
            (Reply::NilArray, "*-1\r\n", "_\r\n"),
            (
                Reply::Map(vec![pair()]),
                "*2\r\n$1\r\na\r\n:1\r\n",
                "%1\r\n$1\r\na\r\n:1\r\n",
            ),
            (
                Reply::Pairs(vec![pair()]),
                "*2\r\n$1\r\na\r\n:1\r\n",
                "*1\r\n*2\r\n$1\r\na\r\n:1\r\n",
            ),
            (Reply::Set(vec![Reply::Int(1)]), "*1\r\n:1\r\n", "~1\r\n:1\r\n"),
            (Reply::Push(vec![Reply::Int(1)]), "*1\r\n:1\r\n", ">1\r\n:1\r\n"),
            (Reply::Verbatim("a".into()), "$1\r\na\r\n", "=5\r\ntxt:a\r\n"),
            (
                Reply::Error("ERR a\r\nb".into()),
                "-ERR a  b\r\n",
                "-ERR a  b\r\n",
            ),
        ] {
            for (protocol, expected) in [(Protocol::Resp2, resp2), (Protocol::Resp3, resp3)] {
                let mut out = Vec::new();
                reply.encode(protocol, &mut out);
                assert_eq!(String::from_utf8(out).unwrap(), expected);
            }
        }
    }
}
