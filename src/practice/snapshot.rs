//! Reads and writes the data file, which contains commands that restore the data. The first line of the file
//! contains a hash of these commands.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Instant;

use ring::digest::{Context, SHA256, digest};

use super::client::ConnectedClient;
use super::commands;
use super::request::{RequestLimits, RequestReader};
use super::state::{ServerLimits, ServerState};
use super::store::{DATABASES, Store};
use super::value::Value;
use crate::files::{self, NewFile};

/// The size in bytes of the buffers for reading and writing a data file.
const BUFFER: usize = 256 * 1024;

/// The maximum number of fields or members that one command restores.
const ELEMENTS_PER_COMMAND: usize = 64;

/// The beginning of a data file's first line. The number is the version of the file format.
const HEADER: &str = "sessiontut practice data 1 ";

/// A complete snapshot that has not yet replaced the data file.
pub(super) struct Snapshot(NewFile);

impl Snapshot {
    /// Waits until the snapshot is on the disk, and then replaces the data file.
    pub(super) fn finish(self) -> io::Result<()> {
        self.0.replace()
    }
}

/// Writes the data of `store` to a new file, which [`Snapshot::finish`] renames to `file`.
pub(super) fn write(file: &Path, store: &Store) -> io::Result<Snapshot> {
    let mut new = NewFile::beside(file)?;
    write_content(new.file(), store)?;
    Ok(Snapshot(new))
}

fn write_content(file: &mut File, store: &Store) -> io::Result<()> {
    let header = |hash: &str| format!("{HEADER}{hash}\n");
    // Write zeros first, and replace them when the hash is known.
    file.write_all(header(&"0".repeat(64)).as_bytes())?;
    let hashing = HashingWriter {
        inner: file,
        hash: Context::new(&SHA256),
    };
    let mut body = BufWriter::with_capacity(BUFFER, hashing);
    write_commands(&mut body, store)?;
    let HashingWriter { inner: file, hash } = body.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.seek(SeekFrom::Start(0))?;
    let hash = hexadecimal(hash.finish().as_ref());
    file.write_all(header(&hash).as_bytes())
}

/// Forwards bytes to another writer, and computes their hash.
struct HashingWriter<W> {
    inner: W,
    hash: Context,
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hash.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Reads and verifies a data file. Returns its content, or `None` if the file does not exist. Fails if the
/// file cannot be read, or if it is damaged ([`io::ErrorKind::InvalidData`]).
pub(super) fn read(file: &Path) -> io::Result<Option<Vec<u8>>> {
    let content = match files::read(file) {
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
    let hash = hexadecimal(digest(&SHA256, body).as_ref());
    if content[..end] != *format!("{HEADER}{hash}").as_bytes() {
        return Err(damaged());
    }
    Ok(Some(content))
}

/// Runs all commands of a data file. Restores all data, even if it exceeds the server's memory limit.
pub(super) fn restore(content: &[u8], server: &mut ServerState) {
    let limits_of_server = std::mem::replace(&mut server.limits, ServerLimits::unlimited());
    let no_address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let client = ConnectedClient::enter(server, no_address, no_address);
    server.set_logged_in(&client, true);
    let limits = RequestLimits {
        bytes: usize::MAX,
        is_authenticated: true,
    };
    let mut reader = RequestReader::default();
    let commands = content
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    for part in content[commands..].chunks(BUFFER) {
        reader.feed(part);
        while let Ok(Some(words)) = reader.next(limits) {
            if !words.is_empty() {
                commands::run(server, &client, words, Instant::now());
                client.note_sent(client.unsent());
            }
        }
    }
    server.remove_client(&client);
    server.limits = limits_of_server;
}

fn write_commands(out: &mut impl Write, store: &Store) -> io::Result<()> {
    for db in 0..DATABASES {
        if store.len(db) == 0 {
            continue;
        }
        command(out, &[b"SELECT", db.to_string().as_bytes()])?;
        for (name, entry) in store.iter(db) {
            match &entry.value {
                Value::Text(text) => command(out, &[b"SET", name, text])?,
                Value::Hash(hash) => {
                    for pairs in hash.pairs().chunks(ELEMENTS_PER_COMMAND) {
                        let pairs = pairs.iter().flat_map(|(field, value)| [*field, *value]);
                        command(
                            out,
                            &[&b"HSET"[..], name].into_iter().chain(pairs).collect::<Vec<_>>(),
                        )?;
                    }
                }
                Value::Set(set) => {
                    for members in set.pairs().chunks(ELEMENTS_PER_COMMAND) {
                        let members = members.iter().map(|(member, _)| *member);
                        command(
                            out,
                            &[&b"SADD"[..], name]
                                .into_iter()
                                .chain(members)
                                .collect::<Vec<_>>(),
                        )?;
                    }
                }
            }
            if let Some(moment) = entry.expires {
                command(out, &[b"PEXPIREAT", name, moment.to_string().as_bytes()])?;
            }
        }
    }
    Ok(())
}

fn command(out: &mut impl Write, words: &[&[u8]]) -> io::Result<()> {
    write!(out, "*{}\r\n", words.len())?;
    for word in words {
        write!(out, "${}\r\n", word.len())?;
        out.write_all(word)?;
        out.write_all(b"\r\n")?;
    }
    Ok(())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
