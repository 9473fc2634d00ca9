//! The data between two runs: a file of the commands that bring it back, with the hash of its contents in the first line.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use ring::digest::{SHA256, digest};

use super::hub::Shared;
use super::request::{Bounds, Parsed, Reader};
use super::store::{DATABASES, Store};
use super::value::Value;
use super::{commands, connection};
use crate::state;

/// What the first line begins with; the number changes with the format.
const MARK: &str = "sessiontut practice data 1 ";

/// Writes the data to a file that is there either as it was or as it is now, for its owner alone.
///
/// # Errors
/// The folder or the file cannot be written.
pub(super) fn write(file: &Path, store: &Store) -> io::Result<()> {
    let body = body(store);
    let mut whole = format!("{MARK}{}\n", hash(&body)).into_bytes();
    whole.extend(body);
    state::write(file, &whole)
}

/// The commands in a file; none where there is no file.
///
/// # Errors
/// It cannot be read, or ([`io::ErrorKind::InvalidData`]) is not what was written.
pub(super) fn read(file: &Path) -> io::Result<Option<Vec<u8>>> {
    let whole = match fs::read(file) {
        Ok(whole) => whole,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(fault) => return Err(fault),
    };
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "not the data that was saved");
    let end = whole.iter().position(|byte| *byte == b'\n').ok_or_else(damaged)?;
    let body = &whole[end + 1..];
    if whole[..end] != *format!("{MARK}{}", hash(body)).as_bytes() {
        return Err(damaged());
    }
    Ok(Some(body.to_vec()))
}

/// Runs the commands that [`read`] returned.
pub(super) fn restore(saved: &[u8], hub: &Shared) {
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut hub = hub.borrow_mut();
    let client = connection::enter(&mut hub, nobody, nobody);
    client.is_known.set(true);
    let bounds = Bounds {
        bytes: usize::MAX,
        stranger: false,
    };
    let mut reader = Reader::default();
    reader.feed(saved);
    while let Ok(Parsed::Request(words)) = reader.next(bounds) {
        if !words.is_empty() {
            commands::run(&mut hub, &client, words);
            // Nobody reads the replies.
            client.outbox.sent(client.outbox.take().len());
        }
    }
    hub.leave(&client);
}

fn body(store: &Store) -> Vec<u8> {
    let mut out = Vec::new();
    for db in 0..DATABASES {
        let keys = store.database(db);
        if keys.len() == 0 {
            continue;
        }
        command(&mut out, &[b"SELECT", db.to_string().as_bytes()]);
        for (name, entry) in keys.iter() {
            match &entry.value {
                Value::Text(text) => command(&mut out, &[b"SET", name, &text.bytes]),
                Value::Hash(hash) => {
                    for (field, value) in hash.pairs() {
                        command(&mut out, &[b"HSET", name, field, value]);
                    }
                }
                Value::Set(set) => {
                    for member in set.members() {
                        command(&mut out, &[b"SADD", name, &member]);
                    }
                }
            }
            if let Some(moment) = entry.expires {
                command(&mut out, &[b"PEXPIREAT", name, moment.to_string().as_bytes()]);
            }
        }
    }
    out
}

fn command(out: &mut Vec<u8>, words: &[&[u8]]) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

fn hash(body: &[u8]) -> String {
    digest(&SHA256, body)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
