//! The contents of the session cookie: in steps 1 to 3 the signed user name, in step 4 a random token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::digest::{SHA256, digest};
use ring::hmac;

use super::KEY_PREFIX;
use crate::random;

/// A key for HMAC-SHA-256. Only the owner of the key can create or change a signed cookie.
#[derive(Debug)]
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// Creates a key from bytes of any length.
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// Returns `NAME.SIGNATURE`, both in base64url.
    pub fn sign(&self, name: &str) -> String {
        let signature = hmac::sign(&self.0, name.as_bytes());
        format!("{}.{}", BASE64.encode(name), BASE64.encode(signature))
    }

    /// Returns the name in a cookie that was signed with this key.
    pub fn verify(&self, cookie: &str) -> Option<String> {
        let (name, signature) = cookie.split_once('.')?;
        let (name, signature) = (BASE64.decode(name).ok()?, BASE64.decode(signature).ok()?);
        hmac::verify(&self.0, &name, &signature).ok()?;
        String::from_utf8(name).ok()
    }
}

const TOKEN_BYTES: usize = 32;

/// A token of 256 random bits in base64url, and the Redis key of its session.
#[derive(Clone)]
pub struct Token {
    text: String,
    key: String,
}

impl Token {
    /// Generates a new token.
    pub fn generate() -> Self {
        Self::new(BASE64.encode(random::bytes::<TOKEN_BYTES>()))
    }

    /// Parses the token in a cookie. Returns `None` if the text does not have the form of a token.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text).ok()?;
        (bytes.len() == TOKEN_BYTES).then(|| Self::new(text.to_owned()))
    }

    /// Returns the whole token. Use it only for the cookie.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Returns the first 6 characters, for display.
    pub fn start(&self) -> &str {
        &self.text[..6]
    }

    /// Returns the key of the session. It contains a hash of the token, so read access to Redis is not enough to log
    /// in.
    pub fn key(&self) -> &str {
        &self.key
    }

    fn new(text: String) -> Self {
        let hash = digest(&SHA256, text.as_bytes());
        let key = format!("{KEY_PREFIX}session:{}", BASE64.encode(&hash.as_ref()[..16]));
        Self { text, key }
    }
}
