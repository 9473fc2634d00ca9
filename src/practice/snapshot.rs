//! The data file. Its first line contains a hash, and the rest are the commands that restore the data.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use ring::digest::{SHA256, digest};

use super::client::ConnectedClient;
use super::commands;
use super::request::{RequestLimits, RequestReader};
use super::state::ServerState;
use super::store::{DATABASES, Store};
use super::value::Value;
use crate::state;

/// The start of the first line; the number changes with the format.
const HEADER: &str = "sessiontut practice data 1 ";

/// Writes the data atomically to a file with mode 0600.
pub(super) fn write(file: &Path, store: &Store) -> io::Result<()> {
    let body = body(store);
    let mut content = format!("{HEADER}{}\n", hash(&body)).into_bytes();
    content.extend(body);
    state::write(file, &content)
}

/// Reads the commands from a file. Returns `None` if there is no file.
///
/// # Errors
/// The file cannot be read, or it is damaged ([`io::ErrorKind::InvalidData`]).
pub(super) fn read(file: &Path) -> io::Result<Option<Vec<u8>>> {
    let content = match fs::read(file) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the data file is damaged");
    let end = content
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or_else(damaged)?;
    let body = &content[end + 1..];
    if content[..end] != *format!("{HEADER}{}", hash(body)).as_bytes() {
        return Err(damaged());
    }
    Ok(Some(body.to_vec()))
}

/// Runs the commands that [`read`] returned.
pub(super) fn restore(saved: &[u8], server: &mut ServerState) {
    let no_address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let client = ConnectedClient::enter(server, no_address, no_address);
    client.is_authenticated.set(true);
    let limits = RequestLimits {
        bytes: usize::MAX,
        is_authenticated: true,
    };
    let mut reader = RequestReader::default();
    reader.feed(saved);
    while let Ok(Some(words)) = reader.next(limits) {
        if !words.is_empty() {
            commands::run(server, &client, words);
            client.note_sent(client.take_output().len());
        }
    }
    server.remove_client(&client);
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
                Value::Text(text) => command(&mut out, &[b"SET", name, text]),
                Value::Hash(hash) => {
                    for (field, value) in hash.pairs() {
                        command(&mut out, &[b"HSET", name, field, value]);
                    }
                }
                Value::Set(set) => {
                    for (member, _) in set.pairs() {
                        command(&mut out, &[b"SADD", name, member]);
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
