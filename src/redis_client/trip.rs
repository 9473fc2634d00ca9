//! One round trip: commands that are sent in one write, and everything that comes back for them, byte by byte.

use std::io::{self, Write};
use std::time::Duration;

use redis::{Pipeline, RedisError, ServerError, Value, parse_redis_value};

use super::raw::{Replies, Reply};
use super::write::write_command;

/// Whether commands are executed together or one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pipeline,
    /// Between MULTI and EXEC.
    Transaction,
}

/// Commands for one round trip, as the bytes that will be sent.
#[derive(Clone, Debug)]
pub struct Batch {
    bytes: Vec<u8>,
    commands: usize,
    kind: Kind,
}

impl Batch {
    /// Commands that are executed one after the other.
    #[must_use]
    pub fn pipeline() -> Self {
        Self {
            bytes: Vec::with_capacity(ROOM),
            commands: 0,
            kind: Kind::Pipeline,
        }
    }

    /// Commands that are executed all at once, or not at all.
    #[must_use]
    pub fn transaction() -> Self {
        let mut batch = Self::pipeline().with(&[b"MULTI"]);
        batch.kind = Kind::Transaction;
        batch
    }

    /// One command more: its name and arguments.
    #[must_use]
    pub fn with(mut self, words: &[&[u8]]) -> Self {
        self.header(b'*', words.len());
        for word in words {
            self.header(b'$', word.len());
            self.bytes.extend_from_slice(word);
            self.bytes.extend_from_slice(b"\r\n");
        }
        self.commands += 1;
        self
    }

    fn header(&mut self, kind: u8, number: usize) {
        let digit = |number: usize| b'0' + (number % 10) as u8;
        match number {
            0..10 => self.bytes.extend_from_slice(&[kind, digit(number), b'\r', b'\n']),
            10..100 => {
                let header = [kind, digit(number / 10), digit(number), b'\r', b'\n'];
                self.bytes.extend_from_slice(&header);
            }
            _ => self
                .bytes
                .extend_from_slice(format!("{}{number}\r\n", char::from(kind)).as_bytes()),
        }
    }

    /// The bytes to send, and how many replies they get.
    pub(super) fn finish(mut self) -> Sent {
        if self.kind == Kind::Transaction {
            self = self.with(&[b"EXEC"]);
        }
        Sent {
            bytes: self.bytes,
            replies: self.commands,
            kind: self.kind,
        }
    }

    /// The same for a client that takes commands, not bytes.
    #[must_use]
    pub fn to_pipeline(&self) -> Pipeline {
        let mut pipeline = redis::pipe();
        let mut words = Words::new(&self.bytes);
        if self.kind == Kind::Transaction {
            pipeline.atomic();
            words.next();
        }
        for command in words {
            let mut command = command.filter_map(Reply::text);
            let mut packed = redis::Cmd::new();
            command.by_ref().for_each(|word| {
                packed.arg(word);
            });
            pipeline.add_command(packed);
        }
        pipeline
    }

    /// The trip of a client that hands out values: written down again as they came.
    ///
    /// Such a client keeps the replies of MULTI and of the commands behind it to itself; they can only have been these.
    #[must_use]
    pub fn answered(self, values: &[Value], took: Duration) -> Trip {
        let sent = self.finish();
        let mut received = Vec::new();
        if sent.kind == Kind::Transaction {
            received.extend_from_slice(b"+OK\r\n");
            for _ in 2..sent.replies {
                received.extend_from_slice(b"+QUEUED\r\n");
            }
        }
        for value in values {
            encode(value, &mut received);
        }
        Trip::new(sent, received, took)
    }
}

/// Bytes that a batch of a page view takes.
const ROOM: usize = 320;

/// A batch on its way.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) bytes: Vec<u8>,
    pub(super) replies: usize,
    kind: Kind,
}

/// A round trip that is over.
#[derive(Clone, Debug)]
pub struct Trip {
    sent: Sent,
    pub(super) received: Vec<u8>,
    /// Where in `received` the results begin, and how many they are.
    results: (usize, usize),
    took: Duration,
}

impl Trip {
    pub(super) fn new(sent: Sent, received: Vec<u8>, took: Duration) -> Self {
        let mut replies = Replies::new(&received, sent.replies);
        let results = match sent.kind {
            Kind::Pipeline => (0, sent.replies),
            Kind::Transaction => match replies.nth(sent.replies - 1) {
                Some(Reply::Array(results)) => {
                    (received.len() - replies.unread_bytes(), results.count_left())
                }
                _ => (received.len(), 0),
            },
        };
        Self {
            sent,
            received,
            results,
            took,
        }
    }

    /// From the moment that the commands were handed over to the arrival of the last reply.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.took
    }

    /// Every command with its reply, MULTI and EXEC included.
    pub fn exchanges(&self) -> impl Iterator<Item = (Command<'_>, Reply<'_>)> {
        Words::new(&self.sent.bytes)
            .map(Command)
            .zip(Replies::new(&self.received, self.sent.replies))
    }

    /// What the commands themselves returned; within a transaction that is what EXEC returned.
    #[must_use]
    pub fn results(&self) -> Replies<'_> {
        let (start, count) = self.results;
        Replies::new(&self.received[start..], count)
    }

    /// The first error among the replies, if there is one.
    ///
    /// A command that is refused inside MULTI says why; EXEC then says only that something was.
    ///
    /// # Errors
    /// That error.
    pub fn check(self) -> Result<Self, RedisError> {
        // Most trips need no closer look: there is no error without a minus.
        if !self.received.contains(&b'-') {
            return Ok(self);
        }
        let replies = Replies::new(&self.received, self.sent.replies);
        for reply in replies.chain(self.results()) {
            if let Reply::Error(text) = reply {
                return Err(server_error(text));
            }
        }
        Ok(self)
    }
}

/// The words of one command.
#[derive(Clone, Copy, Debug)]
pub struct Command<'a>(Replies<'a>);

impl Command<'_> {
    /// Writes it as redis-cli would accept it.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(self, out: &mut impl Write) -> io::Result<()> {
        write_command(out, self.0.filter_map(Reply::text))
    }
}

/// Commands, from the bytes that were sent: they have the form of arrays.
struct Words<'a>(Replies<'a>);

impl<'a> Words<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self(Replies::new(bytes, usize::MAX))
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Replies<'a>;

    fn next(&mut self) -> Option<Replies<'a>> {
        match self.0.next()? {
            Reply::Array(words) => Some(words),
            _ => None,
        }
    }
}

/// An error reply, as the redis crate has it.
fn server_error(text: &[u8]) -> RedisError {
    let line = [b"-", text, b"\r\n"].concat();
    match parse_redis_value(&line) {
        Ok(Value::ServerError(error)) => error.into(),
        Ok(_) => (redis::ErrorKind::UnexpectedReturnType, "an error that is none").into(),
        Err(error) => error,
    }
}

fn encode(value: &Value, out: &mut Vec<u8>) {
    let mut line = |text: &[&[u8]]| {
        out.extend_from_slice(&text.concat());
        out.extend_from_slice(b"\r\n");
    };
    match value {
        Value::Okay => line(&[b"+OK"]),
        Value::SimpleString(text) => line(&[b"+", text.as_bytes()]),
        Value::Int(number) => line(&[b":", number.to_string().as_bytes()]),
        Value::BulkString(bytes) => {
            line(&[b"$", bytes.len().to_string().as_bytes()]);
            line(&[bytes]);
        }
        Value::ServerError(error) => line(&[b"-", error_line(error).as_bytes()]),
        Value::Array(items) | Value::Set(items) => {
            line(&[b"*", items.len().to_string().as_bytes()]);
            for item in items {
                encode(item, out);
            }
        }
        Value::Map(pairs) => {
            line(&[b"*", (2 * pairs.len()).to_string().as_bytes()]);
            for (name, value) in pairs {
                encode(name, out);
                encode(value, out);
            }
        }
        Value::Nil => line(&[b"$-1"]),
        _ => line(&[b"_"]),
    }
}

fn error_line(error: &ServerError) -> String {
    super::error_text(error).replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trip(batch: Batch, received: &[u8]) -> Trip {
        Trip::new(batch.finish(), received.to_vec(), Duration::ZERO)
    }

    fn visit() -> Batch {
        Batch::transaction()
            .with(&[b"HINCRBY", b"key", b"visits", b"1"])
            .with(&[b"HGETALL", b"key"])
    }

    const ANSWER: &[u8] = b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:3\r\n*2\r\n$6\r\nvisits\r\n$1\r\n3\r\n";

    #[test]
    fn a_transaction_shows_every_command_with_its_reply() {
        let trip = trip(visit(), ANSWER).check().unwrap();
        let mut shown = Vec::new();
        for (command, reply) in trip.exchanges() {
            command.write(&mut shown).unwrap();
            shown.extend_from_slice(b" -> ");
            reply.write(&mut shown).unwrap();
            shown.push(b'\n');
        }
        assert_eq!(
            String::from_utf8(shown).unwrap(),
            "MULTI -> OK\nHINCRBY key visits 1 -> QUEUED\nHGETALL key -> QUEUED\nEXEC -> 1) (integer) 3\n2) 1) \"visits\"\n   2) \"3\"\n"
        );
        let results: Vec<Reply> = trip.results().collect();
        assert_eq!(results[0], Reply::Integer(3));
        assert_eq!(results.len(), 2);
    }

    #[test]
    fn a_command_refused_inside_a_transaction_says_why() {
        let refused = trip(
            visit(),
            b"+OK\r\n-OOM command not allowed\r\n+QUEUED\r\n-EXECABORT Transaction discarded\r\n",
        );
        assert_eq!(refused.check().unwrap_err().code(), Some("OOM"));
        let wrong = trip(
            visit(),
            b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n-WRONGTYPE no\r\n*0\r\n",
        );
        assert_eq!(wrong.check().unwrap_err().code(), Some("WRONGTYPE"));
    }

    #[test]
    fn a_client_of_values_makes_the_same_trip() {
        let batch = visit();
        assert_eq!(batch.to_pipeline().cmd_iter().count(), 2);
        assert!(batch.to_pipeline().is_transaction());
        let value = parse_redis_value(&ANSWER[23..]).unwrap();
        let trip = batch.answered(&[value], Duration::ZERO);
        assert_eq!(trip.received, ANSWER);
    }
}
