//! Compares the practice Redis with a real redis-server, and with Valkey if it is installed. The same commands must
//! return the same bytes.
//!
//! `cases/practice/*.txt` contains the programs; `cases/practice_differences.txt` contains the known differences and
//! their reasons.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use redis::Value;
use sessiontut::practice::{Server, ServerOptions};
use sessiontut::untrusted::{Limits, measure};
use support::{RedisServer, valkey};

/// Limits for a reply. The replies to these programs are small, so a larger one is a fault of the server.
const LIMITS: Limits = Limits {
    bytes: 4 * 1024 * 1024,
    depth: 32,
};
/// How long to wait for a reply. Replies take milliseconds, so no reply will arrive after this time.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn replies_are_those_of_redis() {
    let server = RedisServer::start();
    compare("redis", server.port());
}

#[test]
fn replies_are_those_of_valkey() {
    if let Some(server) = valkey::start() {
        compare("valkey", server.port());
    }
}

#[test]
fn random_programs_get_the_same_replies_and_leave_the_same_data() {
    let server = RedisServer::start();
    let practice = Server::start(ServerOptions::default()).unwrap();
    let seed = std::env::var("SESSIONTUT_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let first: u64 = seed.unwrap_or_else(rand_seed);
    let rounds = if seed.is_some() { 1 } else { 40 };
    for round in 0..rounds {
        let seed = first.wrapping_add(round);
        let commands = random_program(seed, 150);
        let mut theirs = Wire::open(server.port(), protocol_of(seed));
        let mut ours = Wire::open(practice.address().port(), protocol_of(seed));
        for (number, command) in commands.iter().enumerate() {
            let expected = shown(&command.words, &theirs.ask(&command.words), command.look);
            let got = shown(&command.words, &ours.ask(&command.words), command.look);
            assert_eq!(
                got,
                expected,
                "SESSIONTUT_SEED={seed}, command {number}: {}",
                command.text()
            );
        }
        assert_eq!(
            state(practice.address().port()),
            state(server.port()),
            "SESSIONTUT_SEED={seed}: the state at the end"
        );
    }
}

#[test]
fn the_command_table_is_that_of_redis() {
    let server = RedisServer::start();
    let practice = Server::start(ServerOptions::default()).unwrap();
    let ask = |port: u16, line: &str| -> Vec<Value> {
        let reply = Wire::open(port, 2).ask(&words(line));
        redis::from_redis_value(redis::parse_redis_value(&reply).unwrap()).unwrap()
    };
    let parts = |command: &Value| match command {
        Value::Array(parts) => parts.clone(),
        other => panic!("{other:?}"),
    };
    // These seven parts are the name, the arity, the flags, the three numbers for the key positions, and the
    // ACL categories.
    let facts = |command: &Value| -> Vec<String> { parts(command)[..7].iter().map(sorted).collect() };
    let mut commands = ask(practice.address().port(), "COMMAND");
    let subcommands: Vec<Value> = commands
        .iter()
        .flat_map(|command| parts(&parts(command)[9]))
        .collect();
    commands.extend(subcommands);
    for command in commands {
        let name: String = redis::from_redis_value(parts(&command)[0].clone()).unwrap();
        let theirs = ask(server.port(), &format!("COMMAND INFO {name}")).remove(0);
        // Some subcommands were added in Redis 7.2.
        if theirs != Value::Nil {
            assert_eq!(facts(&command), facts(&theirs), "{name}");
        }
    }
}

fn rand_seed() -> u64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    u64::from(since.subsec_nanos())
}

fn protocol_of(seed: u64) -> u8 {
    if seed.is_multiple_of(2) { 2 } else { 3 }
}

/// How two replies are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Byte for byte.
    Exact,
    /// In any order, because Redis does not guarantee an order.
    Unordered,
    /// Only the type, because the reply contains IDs, times or versions.
    Kind,
    /// As a number that may differ slightly, because it is a remaining time.
    Near,
}

struct Command {
    /// The name of the connection that sends the command: `a`, or `b` if the line begins with `@b`.
    connection: char,
    look: Look,
    words: Vec<Vec<u8>>,
    line: String,
}

impl Command {
    fn text(&self) -> String {
        self.line.clone()
    }
}

struct Program {
    name: String,
    commands: Vec<Command>,
}

/// Parses the programs. `# name` begins a program, and each line after it is a command. A prefix determines
/// how the reply is compared: `~` means in any order, `?` only its type, and `≈` approximately. The prefix
/// `@b` selects another connection. A line `<` reads what the server has sent on the connection.
fn programs() -> Vec<Program> {
    let folder = cases().join("practice");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut programs: Vec<Program> = Vec::new();
    for file in files {
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        for line in fs::read_to_string(&file).unwrap().lines() {
            if let Some(name) = line.strip_prefix("# ") {
                programs.push(Program {
                    name: format!("{stem}: {name}"),
                    commands: Vec::new(),
                });
            } else if !line.trim().is_empty() {
                programs.last_mut().unwrap().commands.push(command(line));
            }
        }
    }
    programs
}

fn command(line: &str) -> Command {
    let (connection, rest) = match line.strip_prefix('@') {
        Some(rest) => (rest.chars().next().unwrap(), rest[1..].trim_start()),
        None => ('a', line),
    };
    let (look, rest) = match rest.chars().next().unwrap() {
        '~' => (Look::Unordered, &rest[1..]),
        '?' => (Look::Kind, &rest[1..]),
        '≈' => (Look::Near, &rest['≈'.len_utf8()..]),
        _ => (Look::Exact, rest),
    };
    Command {
        connection,
        look,
        words: words(rest.trim()),
        line: line.to_owned(),
    }
}

/// Splits a line at spaces. `"…"` may contain spaces, `\xNN` and `\n`. `{N*c}` stands for `c` repeated N
/// times.
fn words(line: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut bytes = line.bytes().peekable();
    while bytes.peek().is_some() {
        if bytes.next_if_eq(&b' ').is_some() {
            continue;
        }
        let mut word = Vec::new();
        if bytes.next_if_eq(&b'"').is_some() {
            while let Some(byte) = bytes.next().filter(|byte| *byte != b'"') {
                if byte != b'\\' {
                    word.push(byte);
                    continue;
                }
                match bytes.next().unwrap() {
                    b'n' => word.push(b'\n'),
                    b'r' => word.push(b'\r'),
                    b'x' => {
                        let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                        word.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
                    }
                    other => word.push(other),
                }
            }
        } else {
            while let Some(byte) = bytes.next_if(|byte| *byte != b' ') {
                word.push(byte);
            }
        }
        words.push(repeated(&word).unwrap_or(word));
    }
    words
}

fn repeated(word: &[u8]) -> Option<Vec<u8>> {
    let inner = std::str::from_utf8(word)
        .ok()?
        .strip_prefix('{')?
        .strip_suffix('}')?;
    let (count, text) = inner.split_once('*')?;
    Some(text.repeat(count.parse().ok()?).into_bytes())
}

fn compare(reference: &str, port: u16) {
    let practice = Server::start(ServerOptions::default()).unwrap();
    let known = known_differences(reference);
    let mut met = BTreeSet::new();
    let mut new = Vec::new();
    for program in programs() {
        for protocol in [2, 3] {
            let theirs = run(&program, port, protocol);
            let ours = run(&program, practice.address().port(), protocol);
            for ((command, theirs), ours) in program.commands.iter().zip(&theirs).zip(&ours) {
                let (theirs, ours) = (
                    shown(&command.words, theirs, command.look),
                    shown(&command.words, ours, command.look),
                );
                if theirs == ours {
                    continue;
                }
                let place = format!("{} | {}", program.name, command.text());
                if known.contains_key(&place) {
                    met.insert(place);
                } else {
                    new.push(format!(
                        "{place}\n  RESP{protocol} {reference}: {theirs}\n  RESP{protocol} practice: {ours}"
                    ));
                }
            }
        }
    }
    assert!(
        new.is_empty(),
        "{} new differences from {reference}:\n{}",
        new.len(),
        new.join("\n")
    );
    let stale: Vec<&String> = known.keys().filter(|place| !met.contains(*place)).collect();
    assert!(
        stale.is_empty(),
        "no difference from {reference} any more, take it out of the list: {stale:#?}"
    );
}

/// Returns the known differences and their reasons. Each line has the form `reference | file: program |
/// command | reason`.
fn known_differences(reference: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(cases().join("practice_differences.txt")).unwrap();
    let mut known = BTreeMap::new();
    for line in text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
    {
        let parts: Vec<&str> = line.split(" | ").collect();
        let [who, program, command, reason] = parts[..] else {
            panic!("four parts are needed: {line}");
        };
        assert!(!reason.trim().is_empty(), "a reason is needed: {line}");
        if who == reference || who == "both" {
            known.insert(format!("{program} | {command}"), reason.to_owned());
        }
    }
    known
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

/// Runs a program on an empty data set, and returns the reply to each of its commands.
fn run(program: &Program, port: u16, protocol: u8) -> Vec<Vec<u8>> {
    Wire::open(port, 2).ask(&words("FLUSHALL"));
    let mut wires: BTreeMap<char, Wire> = BTreeMap::new();
    let mut replies = Vec::new();
    for command in &program.commands {
        let wire = wires
            .entry(command.connection)
            .or_insert_with(|| Wire::open(port, protocol));
        replies.push(if command.words == [b"<"] {
            wire.reply()
        } else {
            wire.ask(&command.words)
        });
    }
    replies
}

/// A connection that returns the bytes of each reply.
struct Wire {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Wire {
    fn open(port: u16, protocol: u8) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut wire = Self {
            stream,
            received: Vec::new(),
        };
        if protocol == 3 {
            wire.ask(&words("HELLO 3"));
        }
        wire
    }

    /// Returns all replies to one command. SUBSCRIBE and UNSUBSCRIBE have one reply for each channel.
    fn ask(&mut self, words: &[Vec<u8>]) -> Vec<u8> {
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            request.extend(format!("${}\r\n", word.len()).into_bytes());
            request.extend(word);
            request.extend(b"\r\n");
        }
        // If the server has closed the connection, reading reveals this.
        let _ = self.stream.write_all(&request);
        let mut replies = self.reply();
        let name = words[0].to_ascii_lowercase();
        let has_more =
            (name == b"subscribe" || name == b"unsubscribe") && matches!(replies.first(), Some(b'*' | b'>'));
        for _ in 2..if has_more { words.len() } else { 0 } {
            replies.extend(self.reply());
        }
        replies
    }

    /// Returns the next reply, or the part of it that was received before the connection ended.
    fn reply(&mut self) -> Vec<u8> {
        loop {
            match measure(&self.received, LIMITS) {
                Ok(Some(length)) => return self.received.drain(..length).collect(),
                Ok(None) => {}
                Err(malformed) => panic!("{malformed}: {:?}", String::from_utf8_lossy(&self.received)),
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return b"(closed)".to_vec(),
                Ok(count) => self.received.extend_from_slice(&chunk[..count]),
                Err(fault) if fault.kind() == std::io::ErrorKind::ConnectionReset => {
                    return b"(closed)".to_vec();
                }
                Err(fault) => return format!("(no reply: {})", fault.kind()).into_bytes(),
            }
        }
    }
}

/// Converts a reply to text that can be compared.
fn shown(_words: &[Vec<u8>], reply: &[u8], look: Look) -> String {
    match look {
        Look::Exact => reply.escape_ascii().to_string(),
        Look::Kind => char::from(reply[0]).to_string(),
        Look::Near => {
            let text = String::from_utf8_lossy(reply).into_owned();
            let digits: String = text
                .chars()
                .filter(|character| character.is_ascii_digit() || *character == '-')
                .collect();
            // The two servers do not receive the command at the same time, so the number is rounded.
            digits
                .parse::<i64>()
                .map_or(text, |number| ((number + 5000) / 10_000).to_string())
        }
        Look::Unordered => match redis::parse_redis_value(reply) {
            Ok(value) => format!("{}{}", char::from(reply[0]), sorted(&value)),
            Err(_) => reply.escape_ascii().to_string(),
        },
    }
}

fn sorted(value: &Value) -> String {
    let items: Vec<String> = match value {
        Value::Array(items) | Value::Set(items) => items.iter().map(sorted).collect(),
        Value::Map(pairs) => pairs
            .iter()
            .map(|(key, value)| format!("{key:?}={value:?}"))
            .collect(),
        other => return format!("{other:?}"),
    };
    let mut items = items;
    items.sort();
    format!("[{}]", items.join(", "))
}

/// Returns all keys with their values and expiry times, sorted.
fn state(port: u16) -> Vec<String> {
    let wire = &mut Wire::open(port, 2);
    let keys = redis::parse_redis_value(&wire.ask(&words("KEYS *"))).unwrap();
    let mut keys: Vec<String> = redis::from_redis_value(keys).unwrap();
    keys.sort();
    let mut state = Vec::new();
    for key in keys {
        let ask = |wire: &mut Wire, words: &[&str]| {
            let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
            shown(&words, &wire.ask(&words), Look::Unordered)
        };
        let kind = ask(wire, &["TYPE", &key]);
        let value = match &kind {
            kind if kind.contains("hash") => ask(wire, &["HGETALL", &key]),
            kind if kind.contains("set") => ask(wire, &["SMEMBERS", &key]),
            _ => ask(wire, &["GET", &key]),
        };
        // The encoding of a string is not compared, because in Redis it depends on the commands that set it.
        let encoding = match &kind {
            kind if kind.contains("string") => String::new(),
            _ => ask(wire, &["OBJECT", "ENCODING", &key]),
        };
        let end = ask(wire, &["PEXPIRETIME", &key]);
        state.push(format!("{key} {kind} {encoding} {end} {value}"));
    }
    state
}

/// A random number generator with a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).unwrap()
    }

    fn pick(&mut self, of: &[&str]) -> String {
        of[self.roll(of.len())].to_owned()
    }
}

/// Patterns of commands. K stands for a key, F for a field or member, V for a value, N for a number, T for a
/// time far in the future, and X for any flag.
const SHAPES: &[&str] = &[
    "SET K V",
    "SET K V NX",
    "SET K V XX GET",
    "SET K V PXAT T",
    "SET K V KEEPTTL",
    "SET K V EXAT N GET X",
    "GET K",
    "GETSET K V",
    "GETDEL K",
    "GETEX K PXAT T",
    "GETEX K PERSIST",
    "SETNX K V",
    "MGET K K K",
    "MSET K V K V",
    "INCR K",
    "DECR K",
    "INCRBY K N",
    "DECRBY K N",
    "APPEND K V",
    "STRLEN K",
    "DEL K K",
    "UNLINK K",
    "EXISTS K K",
    "TYPE K",
    "TOUCH K K",
    "PEXPIREAT K T",
    "PEXPIREAT K T X",
    "EXPIREAT K N",
    "PERSIST K",
    "PEXPIRETIME K",
    "EXPIRETIME K",
    "RENAME K K",
    "~KEYS *",
    "~KEYS k[12]",
    "HSET K F V",
    "HSET K F V F V",
    "HMSET K F V",
    "HSETNX K F V",
    "HGET K F",
    "HMGET K F F",
    "~HGETALL K",
    "HDEL K F F",
    "HEXISTS K F",
    "HLEN K",
    "~HKEYS K",
    "~HVALS K",
    "HINCRBY K F N",
    "HSTRLEN K F",
    "SADD K F F",
    "SADD K N N",
    "SREM K F N",
    "~SMEMBERS K",
    "SCARD K",
    "SISMEMBER K F",
    "SMISMEMBER K F F",
    "MULTI",
    "EXEC",
    "DISCARD",
    "WATCH K",
    "UNWATCH",
    "SET K",
    "HSET K F",
    "EXPIREAT K V",
];

fn random_program(seed: u64, length: usize) -> Vec<Command> {
    let mut dice = Dice(seed);
    (0..length)
        .map(|_| {
            let shape = dice.pick(SHAPES);
            let (look, shape) = match shape.strip_prefix('~') {
                Some(rest) => (Look::Unordered, rest),
                None => (Look::Exact, shape.as_str()),
            };
            let line: Vec<String> = shape
                .split(' ')
                .map(|word| match word {
                    "K" => dice.pick(&["k1", "k2", "k3", "k4"]),
                    "F" => dice.pick(&["f1", "f2", "f3", "", "{70*f}"]),
                    "V" => dice.pick(&["v", "", "12", "-3", "3.25", "{50*v}", "{70*v}", "007"]),
                    "N" => dice.pick(&["0", "1", "-1", "17", "9223372036854775807", "x", "1.5"]),
                    "T" => dice.pick(&["4102444800000", "4102444800001", "1", "4202444800000"]),
                    "X" => dice.pick(&["NX", "XX", "GT", "LT"]),
                    other => other.to_owned(),
                })
                .collect();
            let words = line
                .iter()
                .map(|word| repeated(word.as_bytes()).unwrap_or_else(|| word.clone().into_bytes()));
            let words = words.collect();
            // The reply to EXEC contains the unordered replies of a transaction.
            let look = if shape == "EXEC" { Look::Unordered } else { look };
            Command {
                connection: 'a',
                look,
                words,
                line: line.join(" "),
            }
        })
        .collect()
}
