//! The words after the three backticks of a fence.

use std::time::Duration;

use crate::learn::guard::PREFIX;
use crate::learn::lesson::{CodeLanguage, Expected, Needs, Wait};

#[derive(Clone, Debug)]
pub(super) struct Fence {
    pub(super) kind: FenceKind,
    pub(super) expected: Expected,
    pub(super) wait: Option<Wait>,
    pub(super) needs: Needs,
    /// The path and region of `from=`.
    pub(super) from: Option<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FenceKind {
    Redis,
    RedisTry,
    RedisCheck,
    Shell,
    ShellRun,
    Quiz,
    Code(CodeLanguage),
}

/// The longest wait: the time limit of `learn --yes`.
const LONGEST_WAIT: Duration = Duration::from_secs(180);

const REDIS_WORDS: &str = "try, check, fails, after=TIME, watch=KEY, real";
const SHELL_WORDS: &str = "run, after=TIME, watch=KEY, real, from=PATH#REGION";
const QUIZ_WORDS: &str = "real";
const CODE_WORDS: &str = "real, from=PATH#REGION";

impl Fence {
    /// # Errors
    /// Returns a message with the problem and the correct form.
    pub(super) fn parse(info: &str) -> Result<Self, String> {
        let mut words = info.split_whitespace();
        let language = words.next().unwrap_or("text");
        let (kind, allowed) = match language {
            "redis" => (FenceKind::Redis, REDIS_WORDS),
            "sh" => (FenceKind::Shell, SHELL_WORDS),
            "quiz" => (FenceKind::Quiz, QUIZ_WORDS),
            _ => (FenceKind::Code(CodeLanguage::named(language)), CODE_WORDS),
        };
        let mut fence = Self {
            kind,
            expected: Expected::Replies,
            wait: None,
            needs: Needs::AnyRedis,
            from: None,
        };
        let (mut after, mut watch) = (None, None);
        for word in words {
            let is_redis = matches!(
                fence.kind,
                FenceKind::Redis | FenceKind::RedisTry | FenceKind::RedisCheck
            );
            let is_shell = matches!(fence.kind, FenceKind::Shell | FenceKind::ShellRun);
            let is_code = matches!(fence.kind, FenceKind::Code(_));
            match word.split_once('=').unwrap_or((word, "")) {
                ("try", "") if fence.kind == FenceKind::Redis => fence.kind = FenceKind::RedisTry,
                ("check", "") if fence.kind == FenceKind::Redis => fence.kind = FenceKind::RedisCheck,
                ("try" | "check", "") if is_redis => {
                    return Err("use two fences: one with `try` and one with `check`".into());
                }
                ("fails", "") if is_redis => fence.expected = Expected::Error,
                ("run", "") if is_shell => fence.kind = FenceKind::ShellRun,
                ("real", "") => fence.needs = Needs::RealRedis,
                ("after", time) if is_redis || is_shell => after = Some(duration(time)?),
                ("watch", key) if is_redis || is_shell => watch = Some(watched(key)?),
                ("from", place) if is_shell || is_code => fence.from = Some(path_and_region(place)?),
                _ => {
                    return Err(format!(
                        "unknown word `{word}` after `{language}`; allowed: {allowed}"
                    ));
                }
            }
        }
        if after.is_none() && watch.is_some() {
            return Err("`watch=` also needs a wait, for example `after=11s`".into());
        }
        fence.wait = after.map(|span| Wait { span, watch });
        Ok(fence)
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
    let span = digits
        .parse()
        .ok()
        .and_then(|number: u64| match &text[digits.len()..] {
            "ms" => Some(Duration::from_millis(number)),
            "s" => Some(Duration::from_secs(number)),
            "m" => Some(Duration::from_secs(number.saturating_mul(60))),
            _ => None,
        });
    match span {
        Some(span) if span <= LONGEST_WAIT => Ok(span),
        Some(_) => {
            let most = LONGEST_WAIT.as_secs();
            Err(format!(
                "`after={text}` is too long: all lessons together may take {most}s"
            ))
        }
        None => Err(format!(
            "`after={text}` is not a time; examples: `after=11s`, `after=500ms`"
        )),
    }
}

fn watched(key: &str) -> Result<String, String> {
    if key.starts_with(PREFIX) {
        Ok(key.to_owned())
    } else {
        Err(format!("`watch={key}`: the key must start with `{PREFIX}`"))
    }
}

fn path_and_region(place: &str) -> Result<(String, String), String> {
    match place.split_once('#') {
        Some((path, region)) if !path.is_empty() && !region.is_empty() => {
            if path.starts_with('/') || path.split('/').any(|part| part == "..") {
                return Err(format!("`from={place}`: the path must be inside the project"));
            }
            Ok((path.to_owned(), region.to_owned()))
        }
        _ => Err(format!(
            "`from={place}` needs a path and a region, for example `from=examples/flask/app.py#step2`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_format_is_understood() {
        for (info, kind) in [
            ("redis", FenceKind::Redis),
            ("redis fails", FenceKind::Redis),
            ("redis try", FenceKind::RedisTry),
            ("redis try fails real", FenceKind::RedisTry),
            (
                "redis check after=11s watch=sessiontut:user:ada",
                FenceKind::RedisCheck,
            ),
            ("sh", FenceKind::Shell),
            ("sh run", FenceKind::ShellRun),
            ("quiz", FenceKind::Quiz),
            (
                "python from=examples/flask/app.py#step2",
                FenceKind::Code(CodeLanguage("python".into())),
            ),
            ("", FenceKind::Code(CodeLanguage("text".into()))),
        ] {
            assert_eq!(Fence::parse(info).unwrap().kind, kind, "{info}");
        }
        let fence = Fence::parse("redis fails after=1500ms").unwrap();
        assert_eq!(fence.expected, Expected::Error);
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
            assert!(Fence::parse(info).is_err(), "{info}");
        }
    }

    #[test]
    fn wording_of_errors() {
        let message = |info: &&str| format!("{info}\n  {}\n", Fence::parse(info).unwrap_err());
        let messages: String = INVALID.iter().map(message).collect();
        crate::golden::assert_golden("learn/fence-errors.txt", &messages);
    }
}
