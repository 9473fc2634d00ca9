//! Defines the kinds of replies, and encodes replies in RESP2 and RESP3.

use std::borrow::Cow;

use super::value::allocated;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// RESP2, which every new connection uses.
    Resp2,
    /// RESP3, which a client selects with `HELLO 3`.
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

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply {
    Ok,
    Status(Cow<'static, str>),
    /// An error. The text starts with the error code.
    Error(Cow<'static, str>),
    Int(i64),
    Bulk(Vec<u8>),
    Nil,
    /// A null array, which is EXEC's reply if a watched key has changed.
    NilArray,
    Array(Vec<Reply>),
    /// A map, or a flat array in RESP2.
    Map(Vec<(Reply, Reply)>),
    /// A set, or an array in RESP2.
    Set(Vec<Reply>),
    /// The pairs that `HRANDFIELD … WITHVALUES` returns. RESP3 encodes them as an array of two-element
    /// arrays, and RESP2 as a flat array.
    Pairs(Vec<(Reply, Reply)>),
    /// A push message, or an array in RESP2.
    Push(Vec<Reply>),
    /// A verbatim string, or a bulk string in RESP2.
    Verbatim(String),
    /// Any number of replies to one command. SUBSCRIBE, for example, sends one reply per channel.
    Many(Vec<Reply>),
}

impl Reply {
    pub(super) fn text(text: impl Into<Vec<u8>>) -> Self {
        Self::Bulk(text.into())
    }

    /// Returns a bulk string, or nil for `None`.
    pub(super) fn maybe(bytes: Option<Vec<u8>>) -> Self {
        bytes.map_or(Self::Nil, Self::Bulk)
    }

    pub(super) fn count(number: usize) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }

    pub(super) fn truth(is_true: bool) -> Self {
        Self::Int(i64::from(is_true))
    }

    /// Returns the memory that the reply uses, in bytes. The encoded reply is smaller.
    pub(super) fn size(&self) -> usize {
        let content = match self {
            Self::Ok | Self::Nil | Self::NilArray | Self::Int(_) => 0,
            Self::Status(text) | Self::Error(text) => text.len(),
            Self::Bulk(bytes) => allocated(bytes.len()),
            Self::Verbatim(text) => allocated(text.len()),
            Self::Array(items) | Self::Set(items) | Self::Push(items) | Self::Many(items) => {
                items.iter().map(Self::size).sum()
            }
            Self::Map(pairs) | Self::Pairs(pairs) => pairs.iter().map(Size::size).sum(),
        };
        size_of::<Self>() + content
    }

    /// Appends the encoded reply to `out`.
    pub(super) fn encode(&self, protocol: Protocol, out: &mut Vec<u8>) {
        let is_resp3 = protocol == Protocol::Resp3;
        match self {
            Self::Ok => out.extend_from_slice(b"+OK\r\n"),
            Self::Status(text) => line(out, b'+', text),
            // A line break would end the error, and the client would read the rest as another reply.
            Self::Error(text) => line(out, b'-', &text.replace(['\r', '\n'], " ")),
            Self::Int(number) => line(out, b':', &number.to_string()),
            Self::Bulk(bytes) => blob(out, b'$', b"", bytes),
            Self::Nil if is_resp3 => out.extend_from_slice(b"_\r\n"),
            Self::Nil => out.extend_from_slice(b"$-1\r\n"),
            Self::NilArray if is_resp3 => out.extend_from_slice(b"_\r\n"),
            Self::NilArray => out.extend_from_slice(b"*-1\r\n"),
            Self::Verbatim(text) if is_resp3 => blob(out, b'=', b"txt:", text.as_bytes()),
            Self::Verbatim(text) => blob(out, b'$', b"", text.as_bytes()),
            Self::Array(items) => list(out, b'*', items, protocol),
            Self::Set(items) => list(out, if is_resp3 { b'~' } else { b'*' }, items, protocol),
            Self::Push(items) => list(out, if is_resp3 { b'>' } else { b'*' }, items, protocol),
            Self::Map(pairs) if is_resp3 => {
                line(out, b'%', &pairs.len().to_string());
                flat(out, pairs, protocol);
            }
            Self::Pairs(pairs) if is_resp3 => {
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

pub(super) trait Size {
    /// Returns the memory that this part of a reply uses, in bytes.
    fn size(&self) -> usize;
}

impl Size for Reply {
    fn size(&self) -> usize {
        self.size()
    }
}

impl Size for (Reply, Reply) {
    fn size(&self) -> usize {
        self.0.size() + self.1.size()
    }
}

impl Size for String {
    fn size(&self) -> usize {
        size_of::<Self>() + allocated(self.len())
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
