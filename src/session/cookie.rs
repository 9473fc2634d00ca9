//! Creates and verifies the contents of the session cookie: a signed user name in stages 1 to 3, or a random
//! token in stage 4.

use std::time::Duration;

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

    /// Returns `NAME.TIME.SIGNATURE`. The name and the signature are in base64url, and the time is in seconds
    /// since 1970.
    ///
    /// The signature covers `purpose` as well, so that a cookie of one stage is not valid for another stage.
    pub fn sign(&self, purpose: &str, name: &str, now: u64) -> String {
        let text = format!("{}.{now}", BASE64.encode(name));
        let signature = hmac::sign(&self.0, signed(purpose, &text).as_bytes());
        format!("{text}.{}", BASE64.encode(signature))
    }

    /// Returns the name in `cookie`, if the cookie was signed for `purpose` with this key.
    ///
    /// # Errors
    ///
    /// Returns the reason why the cookie is not valid.
    pub fn verify(
        &self,
        purpose: &str,
        cookie: &str,
        now: u64,
        max_age: Duration,
    ) -> Result<String, CookieError> {
        let (text, signature) = cookie.rsplit_once('.').ok_or(CookieError::Signature)?;
        let signature = BASE64.decode(signature).map_err(|_| CookieError::Signature)?;
        hmac::verify(&self.0, signed(purpose, text).as_bytes(), &signature)
            .map_err(|_| CookieError::Signature)?;
        // The signature is valid, so `sign` has written this text.
        let (name, created) = text.split_once('.').ok_or(CookieError::Signature)?;
        let created: u64 = created.parse().map_err(|_| CookieError::Signature)?;
        if now >= created.saturating_add(max_age.as_secs()) {
            return Err(CookieError::Expired);
        }
        let name = BASE64.decode(name).map_err(|_| CookieError::Signature)?;
        String::from_utf8(name).map_err(|_| CookieError::Signature)
    }
}

/// Returns the text to sign. It is unambiguous, because neither the purpose nor the text contains a line
/// feed.
fn signed(purpose: &str, text: &str) -> String {
    format!("sessiontut {purpose}\n{text}")
}

/// The reason why a signed cookie is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieError {
    /// The signature does not match the rest of the cookie.
    Signature,
    /// The cookie's maximum age has passed.
    Expired,
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

    /// Generates a token for a health check. Its key does not start with the prefix of session keys.
    pub(crate) fn for_a_check() -> Self {
        let mut token = Self::generate();
        token.key = token.key.replacen(":session:", ":health:", 1);
        token
    }

    /// Parses the token in a cookie. Returns `None` if the text is not in the form of a token.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text).ok()?;
        (bytes.len() == TOKEN_BYTES).then(|| Self::new(text.to_owned()))
    }

    /// Returns the whole token. Use it only to set the cookie.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Returns the first 6 characters of the token, for display.
    pub fn start(&self) -> &str {
        &self.text[..6]
    }

    /// Returns the key of the session. The key contains a hash of the token, so read access to Redis is not
    /// enough to log in.
    pub fn key(&self) -> &str {
        &self.key
    }

    fn new(text: String) -> Self {
        let hash = digest(&SHA256, text.as_bytes());
        let key = [KEY_PREFIX, "session:", &BASE64.encode(&hash.as_ref()[..16])].concat();
        Self { text, key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_cookie_is_valid_for_its_purpose_and_until_its_maximum_age() {
        let key = SigningKey::new(b"key");
        let hour = Duration::from_secs(3600);
        let cookie = key.sign("stage 2", "éva.\u{1f600}", 1000);
        let verify = |purpose, cookie: &str, now| key.verify(purpose, cookie, now, hour);
        assert_eq!(verify("stage 2", &cookie, 4599).as_deref(), Ok("éva.\u{1f600}"));
        // The clock of another instance might be ahead, so a cookie can come from the future.
        assert!(verify("stage 2", &cookie, 10).is_ok());
        assert_eq!(verify("stage 2", &cookie, 4600), Err(CookieError::Expired));
        assert_eq!(verify("stage 3", &cookie, 1000), Err(CookieError::Signature));
        let later = cookie.replacen(".1000.", ".9000.", 1);
        for changed in [
            &later,
            &format!("{cookie}x"),
            &cookie[1..],
            "",
            ".",
            "..",
            "a.1.b",
        ] {
            assert_eq!(
                verify("stage 2", changed, 1000),
                Err(CookieError::Signature),
                "{changed}"
            );
        }
        let other = SigningKey::new(b"other");
        assert_eq!(
            other.verify("stage 2", &cookie, 1000, hour),
            Err(CookieError::Signature)
        );
    }
}
