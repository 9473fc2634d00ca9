//! Records the lesson's keys after each command, and restores them before the next command, so that replies
//! do not depend on how long the learner reads.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use redis::Value;

use super::connection::SendError;
use super::sandbox::Sandbox;

/// The state of the lesson's keys after the last command.
pub(super) struct Snapshot {
    taken: Instant,
    hashes: Vec<Hash>,
}

/// A hash and its TTL. Lessons and the app use only hashes.
struct Hash {
    key: Vec<u8>,
    /// The names and values of the fields, alternately.
    fields: Vec<Vec<u8>>,
    /// The TTL in milliseconds, or `None` if the key has no TTL.
    ttl: Option<i64>,
}

/// Which keys to restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Restore {
    /// All keys, with their TTLs.
    All,
    /// Only missing keys, because the learner may be watching the TTLs of the other keys.
    Missing,
    /// Only expired keys, because other keys may have been deleted on purpose, for example by a logout in the
    /// app.
    Expired,
}

impl Snapshot {
    /// Reads all hashes among these keys.
    pub(super) fn take(sandbox: &mut Sandbox, keys: &[Vec<u8>]) -> Result<Self, SendError> {
        let mut hashes = Vec::new();
        for key in keys {
            // If an ACL forbids HGETALL or PTTL, the key will not be restored.
            let Value::Array(reply) = sandbox.ask(&[b"HGETALL".to_vec(), key.clone()])? else {
                continue;
            };
            let fields: Vec<Vec<u8>> = reply.into_iter().filter_map(bytes).collect();
            if fields.is_empty() {
                continue;
            }
            let ttl = match sandbox.ask(&[b"PTTL".to_vec(), key.clone()])? {
                Value::Int(ttl @ 1..) => Some(ttl),
                Value::Int(-1) => None,
                _ => continue,
            };
            hashes.push(Hash {
                key: key.clone(),
                fields,
                ttl,
            });
        }
        let taken = Instant::now();
        Ok(Self { taken, hashes })
    }

    /// Restores the keys that `restore` selects. Returns the names of the keys that were missing.
    pub(super) fn restore(&self, sandbox: &mut Sandbox, restore: Restore) -> Result<Vec<String>, SendError> {
        let mut missing = Vec::new();
        for hash in &self.hashes {
            let left = sandbox.ask(&[b"PTTL".to_vec(), hash.key.clone()])?;
            match (left, hash.ttl) {
                (Value::Int(-2), _) if restore != Restore::Expired || hash.has_expired(self.taken) => {
                    hash.create(sandbox)?;
                    missing.push(String::from_utf8_lossy(&hash.key).into_owned());
                }
                (Value::Int(0..), Some(ttl)) if restore == Restore::All => {
                    sandbox.ask(&expire(&hash.key, ttl))?;
                }
                _ => {}
            }
        }
        Ok(missing)
    }
}

/// How a command has damaged a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Damage {
    Gone,
    OtherType,
    /// This field is missing, or has a different value.
    Field(Vec<u8>),
}

impl Snapshot {
    /// Describes the first damage to a hash since this snapshot, or returns `None`. Ignores changes to the
    /// fields in `named`, which contains the words of the task's commands. If `is_solved`, ignores the
    /// deletion of keys in `named`. Ignores the hashes in `to_delete`.
    pub(super) fn damage(
        &self,
        sandbox: &mut Sandbox,
        named: &BTreeSet<&[u8]>,
        to_delete: &[&[u8]],
        is_solved: bool,
    ) -> Result<Option<String>, SendError> {
        let kept = |hash: &&Hash| !to_delete.contains(&hash.key.as_slice());
        for hash in self.hashes.iter().filter(kept) {
            let reply = sandbox.ask(&[b"HGETALL".to_vec(), hash.key.clone()])?;
            let may_be_gone = is_solved && named.contains(hash.key.as_slice());
            let text = match hash.damage(reply, named) {
                Some(Damage::Gone) if may_be_gone || hash.has_expired(self.taken) => continue,
                Some(Damage::Gone) => "no longer exists, but this task needs it".to_owned(),
                Some(Damage::OtherType) => {
                    "is no longer a hash: the command has replaced the whole value, so all fields are lost"
                        .to_owned()
                }
                Some(Damage::Field(field)) => {
                    let field = String::from_utf8_lossy(&field).into_owned();
                    format!("has a new value in the field {field}, but this task must not change that field")
                }
                None => continue,
            };
            return Ok(Some(format!("{} {text}", String::from_utf8_lossy(&hash.key))));
        }
        Ok(None)
    }
}

impl Hash {
    /// Compares the hash with the current reply to HGETALL. Returns the first difference, except in the
    /// fields in `named`.
    fn damage(&self, reply: Value, named: &BTreeSet<&[u8]>) -> Option<Damage> {
        let Value::Array(reply) = reply else {
            return Some(Damage::OtherType);
        };
        let now: Vec<Vec<u8>> = reply.into_iter().filter_map(bytes).collect();
        if now.is_empty() {
            return Some(Damage::Gone);
        }
        let mut before = self.fields.chunks(2);
        let changed = before.find(|field| {
            !named.contains(field[0].as_slice()) && !now.chunks(2).any(|present| present == *field)
        });
        changed.map(|field| Damage::Field(field[0].clone()))
    }

    fn has_expired(&self, since: Instant) -> bool {
        let ttl = self.ttl.and_then(|ttl| u64::try_from(ttl).ok());
        ttl.is_some_and(|ttl| since.elapsed() >= Duration::from_millis(ttl))
    }

    fn create(&self, sandbox: &mut Sandbox) -> Result<(), SendError> {
        let mut words = vec![b"HSET".to_vec(), self.key.clone()];
        words.extend(self.fields.iter().cloned());
        sandbox.ask(&words)?;
        if let Some(ttl) = self.ttl {
            sandbox.ask(&expire(&self.key, ttl))?;
        }
        Ok(())
    }
}

fn expire(key: &[u8], ttl: i64) -> [Vec<u8>; 3] {
    [b"PEXPIRE".to_vec(), key.to_vec(), ttl.to_string().into_bytes()]
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}
