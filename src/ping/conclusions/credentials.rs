//! Looks for mistakes in the password after a failed login. Reports contain no secret part of the password.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use time::{Date, Month};

use super::AccessToken;
use crate::aws::{EndpointName, Name};
use crate::clock::age;
use crate::clock::utc_minute;
use crate::redis_url::provider::{self, EndpointKind};
use crate::redis_url::{Target, invisible, is_missing_value};
use crate::sanitize;

/// Describes where the password comes from, and what looks wrong with the password.
pub(in crate::ping) fn facts(target: &Target) -> Vec<String> {
    let Some(password) = &target.password else {
        return Vec::new();
    };
    let source = target.password_variable.unwrap_or("the URL");
    let blank_at = |end: &str, character: Option<char>| {
        let (name, escape) = invisible(character?)?;
        Some(format!(
            "the password in {source} {end} a {name} ({escape} in a URL)"
        ))
    };
    let password_text = password.reveal();
    blank_at("ends with", password_text.chars().last())
        .into_iter()
        .chain(blank_at("begins with", password_text.chars().next()))
        .chain(
            suspicious_form(password_text)
                .map(|form| format!("the password in {source} {}", form.describe())),
        )
        .chain(
            IamToken::read(password.reveal())
                .into_iter()
                .flat_map(|token| token.facts(target, SystemTime::now())),
        )
        .chain(AccessToken::read(password.reveal()).map(|token| token.describe(SystemTime::now())))
        .collect()
}

/// A form of text that a password rarely has, such as quotes around the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ping) enum SuspiciousForm {
    /// The password is in quotes.
    Quoted,
    /// The password is a word that programs write for a missing value, such as `null`.
    Missing,
    /// The password is probably encoded in base64.
    Base64,
}

impl SuspiciousForm {
    fn describe(self) -> &'static str {
        match self {
            Self::Quoted => "is in quotes",
            Self::Missing => "is a word that means \"no value\" in programming languages",
            Self::Base64 => "is probably still encoded as base64",
        }
    }
}

pub(in crate::ping) fn suspicious_form(password: &str) -> Option<SuspiciousForm> {
    /// The minimum length of a password that is tested for base64. A shorter password may look like base64 by
    /// chance.
    const SHORTEST: usize = 8;
    let is_in = |quote: char| {
        let inner = password
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote));
        inner.is_some_and(|inner| !inner.is_empty())
    };
    if ['"', '\'', '`'].into_iter().any(is_in) {
        return Some(SuspiciousForm::Quoted);
    }
    if is_missing_value(password) {
        return Some(SuspiciousForm::Missing);
    }
    let decoded = BASE64_STANDARD.decode(password).ok()?;
    let text = decoded.strip_suffix(b"\n").unwrap_or(&decoded);
    let is_text = text.len() >= SHORTEST && text.iter().all(u8::is_ascii_graphic);
    is_text.then_some(SuspiciousForm::Base64)
}

/// Whether the password is an IAM token of ElastiCache or MemoryDB.
pub(in crate::ping) fn is_iam_token(password: &str) -> bool {
    IamToken::read(password).is_some()
}

/// A signed request that ElastiCache and MemoryDB accept as a password
/// (<https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html>).
#[derive(Debug, Default)]
struct IamToken {
    cache: String,
    user: Option<String>,
    /// The type of the cache, such as `ServerlessCache`.
    resource: Option<String>,
    region: Option<String>,
    /// The time when the token was created, such as `20250101T000000Z`.
    date: Option<String>,
    lifetime: Option<u64>,
}

impl IamToken {
    fn read(password: &str) -> Option<Self> {
        // The whole token may be percent-encoded.
        let decoded = percent_encoding::percent_decode_str(password).decode_utf8_lossy();
        let text = if password.contains("?Action=connect") {
            password
        } else {
            &decoded
        };
        let (cache, query) = text.split_once("/?")?;
        if !query.contains("Action=connect") {
            return None;
        }
        let mut token = Self {
            cache: cache
                .trim_start_matches("http://")
                .trim_start_matches("https://")
                .to_owned(),
            ..Self::default()
        };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "User" => token.user = Some(value.into_owned()),
                "ResourceType" => token.resource = Some(value.into_owned()),
                "X-Amz-Date" => token.date = Some(value.into_owned()),
                "X-Amz-Expires" => token.lifetime = value.parse().ok(),
                // The value has the form KEY/DATE/REGION/SERVICE/aws4_request. Only the region is used, and
                // the key is never shown.
                "X-Amz-Credential" => {
                    let decoded = percent_encoding::percent_decode_str(&value).decode_utf8_lossy();
                    token.region = decoded.split('/').nth(2).map(str::to_owned);
                }
                _ => {}
            }
        }
        Some(token)
    }

    /// Describes the token, and the visible reasons why ElastiCache or MemoryDB may reject it. The server's
    /// error reply does not contain the reason.
    fn facts(&self, target: &Target, now: SystemTime) -> Vec<String> {
        let mut facts = vec![self.describe(target, now)];
        facts.extend(self.wrong_host(target.host().unwrap_or_default()));
        if self.lifetime.is_some_and(|lifetime| lifetime > USUAL_LIFETIME) {
            facts.push(format!(
                "the token's lifetime (X-Amz-Expires) is more than {USUAL_LIFETIME} seconds"
            ));
        }
        facts
    }

    /// Describes the differences between the token and the cache in the URL.
    fn wrong_host(&self, host: &str) -> Vec<String> {
        let mut facts = Vec::new();
        let cache = sanitize::excerpt(self.cache.as_bytes(), 60);
        if self.cache.contains('.') {
            facts.push(format!(
                "the token is signed for an endpoint, {cache}, but must be signed for the name of the cache"
            ));
        } else if self.cache.chars().any(char::is_uppercase) {
            facts.push(format!(
                "the name of the cache in the token, {cache}, must be in lower case"
            ));
        }
        let Some(hint) = provider::endpoint_hint(host) else {
            return facts;
        };
        // The last name is the name of the whole cache. For a node, this is its replication group.
        let names = EndpointName::parse(host).map_or(Vec::new(), |endpoint| endpoint.names);
        let is_named = |name: &Name| name.as_str().eq_ignore_ascii_case(&self.cache);
        if let Some(name) = names
            .last()
            .filter(|_| facts.is_empty() && !names.iter().any(is_named))
        {
            facts.push(format!(
                "the token is for the cache {cache}, but the host name belongs to {name}"
            ));
        }
        if let (Some(signed), Some(named)) = (&self.region, &hint.region)
            && signed != named
        {
            let signed = sanitize::excerpt(signed.as_bytes(), 60);
            facts.push(format!(
                "the token is for the region {signed}, but the host name belongs to {named}"
            ));
        }
        let is_serverless = hint.kind == EndpointKind::Serverless;
        match (is_serverless, self.resource.as_deref()) {
            (true, Some("ServerlessCache")) | (false, None) => {}
            (true, _) => facts.push(
                "the cache is serverless, but the token does not contain ResourceType=ServerlessCache"
                    .to_owned(),
            ),
            (false, Some(_)) => facts.push(
                "the token contains ResourceType, which only tokens for serverless caches contain".to_owned(),
            ),
        }
        facts
    }

    fn describe(&self, target: &Target, now: SystemTime) -> String {
        let word = |text: &str| sanitize::excerpt(text.as_bytes(), 60);
        let mut text = format!("the password is an IAM token for the cache {}", word(&self.cache));
        if let Some(user) = &self.user {
            text += &format!(", user {}", word(user));
        }
        if let Some(region) = &self.region {
            text += &format!(", region {}", word(region));
        }
        let lifetime = self.lifetime.unwrap_or(USUAL_LIFETIME);
        let valid = if lifetime.is_multiple_of(60) {
            format!("{} minutes ({lifetime} s)", lifetime / 60)
        } else {
            format!("{lifetime} s")
        };
        match self.date.as_deref().and_then(seconds_since_1970) {
            Some(made) => {
                text += &format!(
                    "; it was created on {} and is valid for {valid}",
                    utc_minute(made.cast_signed())
                );
                let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
                let ended = made.saturating_add(lifetime);
                let since =
                    |from: u64, to: u64| age(i64::try_from(to.saturating_sub(from)).unwrap_or(i64::MAX));
                if now > ended {
                    text += &format!(", so it expired {} ago", since(ended, now));
                } else if made > now + CLOCK_TOLERANCE {
                    text += &format!(
                        "; by this host's clock, its creation is {} in the future, so one of the clocks is wrong",
                        since(now, made)
                    );
                }
            }
            None => text += &format!("; a token is valid for {valid} after its creation"),
        }
        match (&self.user, &target.user) {
            (Some(user), Some(given)) if user != given => {
                text += "; the user in the URL is not the token's user";
            }
            (Some(_), None) => text += "; the URL does not contain a user, but the token does",
            _ => {}
        }
        text
    }
}

/// The longest lifetime of an IAM token that AWS accepts, in seconds.
const USUAL_LIFETIME: u64 = 900;
/// The difference between two clocks that is tolerated when the date of an IAM token is checked, in seconds.
const CLOCK_TOLERANCE: u64 = 60;

/// Converts a time such as `20250101T000000Z` to seconds since 1970. Returns `None` if the text has a
/// different form.
fn seconds_since_1970(date: &str) -> Option<u64> {
    if date.len() != 16 || !date.is_ascii() || date.as_bytes()[8] != b'T' {
        return None;
    }
    let number = |from: usize, to: usize| date[from..to].parse::<u8>().ok();
    let month = Month::try_from(number(4, 6)?).ok()?;
    let date_only = Date::from_calendar_date(date[..4].parse().ok()?, month, number(6, 8)?).ok()?;
    let at = date_only
        .with_hms(number(9, 11)?, number(11, 13)?, number(13, 15)?)
        .ok()?;
    u64::try_from(at.assume_utc().unix_timestamp()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "my-cache/?Action=connect&User=iam-user&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=\
        AKIAEXAMPLE%2F20250101%2Feu-west-1%2Felasticache%2Faws4_request&X-Amz-Date=20250101T000000Z&X-Amz-Expires=900&\
        X-Amz-SignedHeaders=host&X-Amz-Signature=5ca1ab1e";

    #[test]
    fn the_date_of_a_token_is_understood() {
        assert_eq!(seconds_since_1970("19700101T000000Z"), Some(0));
        assert_eq!(seconds_since_1970("20250101T000000Z"), Some(1_735_689_600));
        assert_eq!(seconds_since_1970("20240229T235959Z"), Some(1_709_251_199));
        for wrong in [
            "",
            "2025-01-01T00:00",
            "20250001T000000Z",
            "20250101 000000Z",
            "20250100T000000Z",
        ] {
            assert_eq!(seconds_since_1970(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_token_is_described_without_its_key_and_signature() {
        let url = |user: &str| Target::parse(&format!("rediss://{user}@h")).unwrap();
        let after = |seconds: u64| UNIX_EPOCH + Duration::from_secs(1_735_689_600 + seconds);
        let token = IamToken::read(TOKEN).unwrap();
        let shown = token.describe(&url("iam-user"), after(86_400 * 2 + 901));
        for part in [
            "my-cache",
            "iam-user",
            "eu-west-1",
            "2025-01-01",
            "900",
            "15 minutes",
            "2 days",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains("AKIA") && !shown.contains("5ca1"), "{shown}");
        assert!(!token.describe(&url("iam-user"), after(10)).contains("expired"));
        assert!(
            token
                .describe(&url("other"), after(10))
                .contains("not the token's user")
        );
        assert!(IamToken::read("Plover-4417").is_none());
    }

    #[test]
    fn each_reason_for_a_refused_token_is_reported() {
        const NODE: &str = "master.my-cache.x1y2z3.euw1.cache.amazonaws.com";
        const SERVERLESS: &str = "my-cache-x1y2z3.serverless.euw1.cache.amazonaws.com";
        let serverless = TOKEN.replace("Action=connect", "Action=connect&ResourceType=ServerlessCache");
        for (host, token, expected) in [
            (NODE, TOKEN.to_owned(), ""),
            (NODE, TOKEN.replace("my-cache/", "My-Cache/"), "lower case"),
            (
                NODE,
                TOKEN.replace("my-cache/", &format!("{NODE}/")),
                "an endpoint",
            ),
            (NODE, TOKEN.replace("my-cache/", "other/"), "belongs to my-cache"),
            (
                NODE,
                TOKEN.replace("eu-west-1", "us-east-1"),
                "us-east-1, but the host name belongs to eu-west-1",
            ),
            (
                NODE,
                TOKEN.replace("Expires=900", "Expires=3600"),
                "X-Amz-Expires",
            ),
            (NODE, serverless.clone(), "ResourceType"),
            (SERVERLESS, serverless, ""),
            (SERVERLESS, TOKEN.to_owned(), "ResourceType"),
            ("redis.example", TOKEN.to_owned(), ""),
        ] {
            let target = Target::parse(&format!("rediss://iam-user@{host}")).unwrap();
            let now = UNIX_EPOCH + Duration::from_secs(1_735_689_610);
            let facts = IamToken::read(&token).unwrap().facts(&target, now);
            let reasons = facts[1..].join("; ");
            assert_eq!(
                facts.len(),
                1 + usize::from(!expected.is_empty()),
                "{host}: {reasons}"
            );
            assert!(reasons.contains(expected), "{expected}: {reasons}");
        }
    }

    #[test]
    fn a_password_in_a_suspicious_form_is_recognised() {
        for (password, expected) in [
            ("\"Plover-4417\"", Some(SuspiciousForm::Quoted)),
            ("'Plover-4417'", Some(SuspiciousForm::Quoted)),
            ("undefined", Some(SuspiciousForm::Missing)),
            ("None", Some(SuspiciousForm::Missing)),
            ("UGxvdmVyLTQ0MTc=", Some(SuspiciousForm::Base64)),
            ("UGxvdmVyLTQ0MTcK", Some(SuspiciousForm::Base64)),
            ("Plover-4417", None),
            ("\"Plover", None),
            ("\"\"", None),
            ("Xk3v9TqLr2Pz8WnB", None),
            ("password", None),
        ] {
            assert_eq!(suspicious_form(password), expected, "{password}");
            let facts = facts(&Target {
                password: Some(crate::secret::Secret::new(password)),
                ..Target::parse("redis://h").unwrap()
            });
            assert_eq!(
                facts.len(),
                usize::from(expected.is_some()),
                "{password}: {facts:?}"
            );
        }
    }

    #[test]
    fn a_blank_at_the_end_of_the_password_is_named_with_its_source() {
        for (url, variable, parts) in [
            ("redis://:Plover-4417%0A@h", None, vec!["the URL", "newline"]),
            ("redis://:Plover-4417%20@h", None, vec!["the URL", "space"]),
            (
                "redis://:x%0A@h",
                Some("REDISCLI_AUTH"),
                vec!["REDISCLI_AUTH", "newline"],
            ),
        ] {
            let target = Target {
                password_variable: variable,
                ..Target::parse(url).unwrap()
            };
            let facts = facts(&target).join("\n");
            assert!(parts.iter().all(|part| facts.contains(part)), "{facts}");
            assert!(!facts.contains("Plover"));
        }
        assert!(facts(&Target::parse("redis://:Plover-4417@h").unwrap()).is_empty());
    }
}
