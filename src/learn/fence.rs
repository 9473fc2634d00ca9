//! The words after three backticks: the language, and what is to happen with the fence.

use std::time::Duration;

use super::guard::PREFIX;
use super::lesson::{Language, Needs, Wait};

/// What the info line of a fence says.
#[derive(Clone, Debug)]
pub(super) struct Fence {
    pub(super) kind: Kind,
    pub(super) wait: Option<Wait>,
    pub(super) needs: Needs,
    /// Path and region of `from=`.
    pub(super) from: Option<(String, String)>,
}

/// What is to happen with a fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Redis,
    RedisTry,
    RedisCheck,
    Shell,
    ShellRun,
    Quiz,
    Code(Language),
}

/// The longest wait that a lesson may ask for: what all lessons together may take unattended.
const LONGEST_WAIT: Duration = Duration::from_secs(180);

const REDIS_WORDS: &str = "try, check, fails, after=TIME, watch=KEY, real";
const SHELL_WORDS: &str = "run, after=TIME, watch=KEY, real, from=PATH#REGION";
const QUIZ_WORDS: &str = "real";
const CODE_WORDS: &str = "real, from=PATH#REGION";

impl Fence {
    /// Reads an info line; also says whether an error is expected (`fails`).
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub(super) fn read(info: &str) -> Result<(Self, bool), String> {
        let mut words = info.split_whitespace();
        let language = words.next().unwrap_or("text");
        let mut fence = Self {
            kind: match language {
                "redis" => Kind::Redis,
                "sh" => Kind::Shell,
                "quiz" => Kind::Quiz,
                _ => Kind::Code(Language::named(language)),
            },
            wait: None,
            needs: Needs::AnyRedis,
            from: None,
        };
        let allowed = match fence.kind {
            Kind::Redis => REDIS_WORDS,
            Kind::Shell => SHELL_WORDS,
            Kind::Quiz => QUIZ_WORDS,
            _ => CODE_WORDS,
        };
        let (mut after, mut watch, mut fails) = (None, None, false);
        for word in words {
            match (&fence.kind, word.split_once('=')) {
                (Kind::Redis, None) if word == "try" => fence.kind = Kind::RedisTry,
                (Kind::Redis, None) if word == "check" => fence.kind = Kind::RedisCheck,
                (Kind::RedisTry | Kind::RedisCheck, None) if matches!(word, "try" | "check") => {
                    return Err("a fence is either `try` or `check`: write two fences".into());
                }
                (Kind::Redis | Kind::RedisTry | Kind::RedisCheck, None) if word == "fails" => fails = true,
                (Kind::Shell, None) if word == "run" => fence.kind = Kind::ShellRun,
                (_, None) if word == "real" => fence.needs = Needs::RealRedis,
                (Kind::Quiz | Kind::Code(_), Some(("after" | "watch", _))) => {
                    return Err(unknown(word, language, allowed));
                }
                (_, Some(("after", span))) => after = Some(span_of(span)?),
                (_, Some(("watch", key))) => watch = Some(watched(key)?),
                (Kind::Shell | Kind::ShellRun | Kind::Code(_), Some(("from", place))) => {
                    fence.from = Some(region_of(place)?);
                }
                _ => return Err(unknown(word, language, allowed)),
            }
        }
        fence.wait = match (after, watch) {
            (Some(span), watch) => Some(Wait { span, watch }),
            (None, None) => None,
            (None, Some(_)) => {
                return Err("`watch=` shows a wait: say how long with `after=11s` as well".into());
            }
        };
        Ok((fence, fails))
    }
}

fn unknown(word: &str, language: &str, allowed: &str) -> String {
    format!("unknown word `{word}` after `{language}`: it can be {allowed}")
}

fn span_of(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`after={text}` is no time: write `after=11s` or `after=500ms`");
    let digits = text
        .find(|character: char| !character.is_ascii_digit())
        .ok_or_else(wrong)?;
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let span = match &text[digits..] {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.saturating_mul(60)),
        _ => return Err(wrong()),
    };
    if span > LONGEST_WAIT {
        let most = LONGEST_WAIT.as_secs();
        return Err(format!(
            "`after={text}` is too long: all lessons together have {most}s"
        ));
    }
    Ok(span)
}

fn watched(key: &str) -> Result<String, String> {
    if key.starts_with(PREFIX) {
        Ok(key.to_owned())
    } else {
        Err(format!(
            "`watch={key}` is outside `{PREFIX}`: a lesson reads no other keys"
        ))
    }
}

fn region_of(place: &str) -> Result<(String, String), String> {
    let wrong = || format!("`from={place}` names no region: write `from=examples/flask/app.py#step2`");
    let (path, region) = place.split_once('#').ok_or_else(wrong)?;
    if path.is_empty() || region.is_empty() {
        return Err(wrong());
    }
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(format!(
            "`from={place}` leaves the project: write a path inside it"
        ));
    }
    Ok((path.to_owned(), region.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_format_is_understood() {
        for (info, kind) in [
            ("redis", Kind::Redis),
            ("redis fails", Kind::Redis),
            ("redis try", Kind::RedisTry),
            ("redis try fails real", Kind::RedisTry),
            (
                "redis check after=11s watch=sessiontut:user:ada",
                Kind::RedisCheck,
            ),
            ("sh", Kind::Shell),
            ("sh run", Kind::ShellRun),
            ("quiz", Kind::Quiz),
            (
                "python from=examples/flask/app.py#step2",
                Kind::Code(Language("python".into())),
            ),
            ("", Kind::Code(Language("text".into()))),
        ] {
            assert_eq!(Fence::read(info).unwrap().0.kind, kind, "{info}");
        }
        let (fence, fails) = Fence::read("redis fails after=1500ms").unwrap();
        assert!(fails);
        assert_eq!(fence.wait.unwrap().span, Duration::from_millis(1500));
    }

    const INVALID: &[&str] = &[
        "redis chek",
        "redis run",
        "sh try",
        "quiz after=1s",
        "python run",
        "redis try check",
        "redis after=soon",
        "redis after=11",
        "redis after=1000s",
        "redis watch=sessiontut:a",
        "redis after=1s watch=other",
        "python from=app.py",
        "python from=../app.py#a",
    ];

    #[test]
    fn any_other_word_is_an_error() {
        for info in INVALID {
            assert!(Fence::read(info).is_err(), "{info}");
        }
    }

    #[test]
    fn wording_of_errors() {
        let message = |info: &&str| format!("{info}\n  {}\n", Fence::read(info).unwrap_err());
        let messages: String = INVALID.iter().map(message).collect();
        crate::golden::assert_golden("learn/fence-errors.txt", &messages);
    }
}
