//! Recognises access tokens of identity providers, which some providers accept as a password.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::clock::{age, utc_minute};

/// An access token of an identity provider, such as Microsoft Entra ID or Google.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ping) enum AccessToken {
    /// A JSON Web Token (RFC 7519), with its time of expiry in seconds since 1970.
    Jwt { expires: Option<i64> },
    /// An access token of Google, which does not contain its time of expiry.
    Google,
}

impl AccessToken {
    /// Returns `None` if the password is not an access token.
    pub(in crate::ping) fn read(password: &str) -> Option<Self> {
        if password.starts_with("ya29.") {
            return Some(Self::Google);
        }
        let mut parts = password.split('.');
        let (header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || !object(header)?.get("alg")?.is_string() {
            return None;
        }
        Some(Self::Jwt {
            expires: object(payload)?.get("exp").and_then(Value::as_i64),
        })
    }

    /// Describes the token. Shows no part of it, except for the time of expiry.
    pub(super) fn describe(self, now: SystemTime) -> String {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        match self {
            Self::Google => {
                "the password is an access token of Google, which is usually valid for one hour".to_owned()
            }
            Self::Jwt { expires: None } => "the password is an access token (JWT)".to_owned(),
            Self::Jwt { expires: Some(end) } if end < now => format!(
                "the password is an access token (JWT), which expired {} ago, on {}",
                age(now.saturating_sub(end)),
                utc_minute(end)
            ),
            Self::Jwt { expires: Some(end) } => format!(
                "the password is an access token (JWT), which is valid until {}",
                utc_minute(end)
            ),
        }
    }
}

/// Decodes a part of a JWT, which is a JSON object.
fn object(part: &str) -> Option<Value> {
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(part).ok()?;
    let value: Value = serde_json::from_slice(&decoded).ok()?;
    value.is_object().then_some(value)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_token_is_recognised_with_its_time_of_expiry() {
        let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        let token = |payload: &str| format!("{}.{}.c2ln", encode(r#"{"alg":"RS256"}"#), encode(payload));
        for (password, expected) in [
            (
                token(r#"{"exp":1700000000}"#),
                Some(AccessToken::Jwt {
                    expires: Some(1_700_000_000),
                }),
            ),
            (token("{}"), Some(AccessToken::Jwt { expires: None })),
            (token("[]"), None),
            (format!("{}.x", token("{}")), None),
            ("ya29.a0AfB".to_owned(), Some(AccessToken::Google)),
            ("Plover.44.17".to_owned(), None),
        ] {
            assert_eq!(AccessToken::read(&password), expected, "{password}");
        }
    }

    #[test]
    fn an_expired_token_is_described_as_expired() {
        let token = AccessToken::Jwt {
            expires: Some(1_700_000_000),
        };
        let at = |seconds| token.describe(UNIX_EPOCH + Duration::from_secs(seconds));
        assert!(at(1_700_003_600).contains("expired"), "{}", at(1_700_003_600));
        assert!(at(1_699_999_000).contains("valid until"), "{}", at(1_699_999_000));
    }
}
