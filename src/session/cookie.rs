//! A user name, signed so that nobody without the key can change it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::hmac;

/// HMAC-SHA-256 over the name.
#[derive(Debug)]
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// A key of any length.
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// `NAME.SIGNATURE`, both in base64url: safe in a cookie.
    pub fn sign(&self, name: &str) -> String {
        let signature = hmac::sign(&self.0, name.as_bytes());
        format!("{}.{}", BASE64.encode(name), BASE64.encode(signature))
    }

    /// The name in a cookie that this key signed.
    pub fn verify(&self, cookie: &str) -> Option<String> {
        let (name, signature) = cookie.split_once('.')?;
        let (name, signature) = (BASE64.decode(name).ok()?, BASE64.decode(signature).ok()?);
        hmac::verify(&self.0, &name, &signature).ok()?;
        String::from_utf8(name).ok()
    }
}
