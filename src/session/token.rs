//! What step 4's cookie holds: random, and a one-way function away from the key in Redis.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

const BYTES: usize = 32;

/// 256 random bits, in base64url.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// A new one; `None` when the system gives no random bytes.
    pub fn generate() -> Option<Self> {
        let mut bytes = [0; BYTES];
        SystemRandom::new().fill(&mut bytes).ok()?;
        Some(Self(BASE64.encode(bytes)))
    }

    /// A text that can be one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        // Room for what is one character too long, which then is none.
        let mut bytes = [0; BYTES + 4];
        let count = BASE64.decode_slice(text, &mut bytes).ok()?;
        (count == BYTES).then(|| Self(text.to_owned()))
    }

    /// All of it: for the cookie alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The first 6 characters: all that is ever shown.
    pub fn start(&self) -> &str {
        &self.0[..6]
    }

    /// The key of its session.
    pub fn key(&self) -> String {
        let hash = digest(&SHA256, self.0.as_bytes());
        let mut key = String::with_capacity(64);
        key.push_str("sessiontut:session:");
        BASE64.encode_string(&hash.as_ref()[..16], &mut key);
        key
    }
}
