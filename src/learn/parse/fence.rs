//! Parses the words after the three backticks of a fence.

use std::time::Duration;

use crate::learn::guard::PREFIX;
use crate::learn::lesson::{FenceOptions, Wait, language_named};

#[derive(Clone, Debug)]
pub(super) struct Fence {
    pub(super) kind: FenceKind,
    pub(super) options: FenceOptions,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FenceKind {
    Redis,
    RedisTry,
    RedisCheck,
    Shell,
    ShellRun,
    ShellTry,
    Quiz,
    /// A `mermaid` sequence diagram.
    Diagram,
    /// Code in this language.
    Code(String),
}

impl FenceKind {
    /// Whether the fence may precede the first step, because it neither runs commands nor asks a question.
    pub(super) fn may_introduce(&self) -> bool {
        matches!(self, Self::Code(_) | Self::Shell | Self::Diagram)
    }
}

/// The maximum wait in a lesson, which is also the time limit of `learn --yes`.
const LONGEST_WAIT: Duration = Duration::from_secs(180);

impl Fence {
    /// Parses the words after the backticks, such as `redis try`. `line` is the fence's line number. An
    /// error is a message with the problem and the correct form.
    pub(super) fn parse(info: &str, line: usize) -> Result<Self, String> {
        let mut words = info.split_whitespace();
        let language = words.next().unwrap_or("text");
        let (mut kind, allowed): (_, &[&str]) = match language {
            "redis" => (
                FenceKind::Redis,
                &["try", "check", "fails", "after=TIME", "watch=KEY", "real"],
            ),
            "sh" => (
                FenceKind::Shell,
                &[
                    "run",
                    "try",
                    "after=TIME",
                    "watch=KEY",
                    "real",
                    "from=PATH#REGION",
                ],
            ),
            "quiz" => (FenceKind::Quiz, &["real"]),
            "mermaid" => (FenceKind::Diagram, &[]),
            _ => (
                FenceKind::Code(language_named(language)),
                &["real", "from=PATH#REGION"],
            ),
        };
        let mut options = FenceOptions {
            line,
            ..FenceOptions::default()
        };
        let (mut after, mut watch) = (None, None);
        for word in words {
            let name = word.split_inclusive('=').next().unwrap_or(word);
            if !allowed
                .iter()
                .any(|form| form.split_inclusive('=').next() == Some(name))
            {
                let allowed = match allowed {
                    [] => "none".to_owned(),
                    allowed => allowed.join(", "),
                };
                return Err(format!(
                    "unknown word `{word}` after `{language}`; allowed: {allowed}"
                ));
            }
            let value = &word[name.len()..];
            match name {
                "run" | "try" if matches!(kind, FenceKind::ShellRun | FenceKind::ShellTry) => {
                    return Err("use either `run` or `try`".into());
                }
                "try" if kind == FenceKind::Shell => kind = FenceKind::ShellTry,
                "try" | "check" if kind != FenceKind::Redis => {
                    return Err("use two fences: one with `try` and one with `check`".into());
                }
                "try" => kind = FenceKind::RedisTry,
                "check" => kind = FenceKind::RedisCheck,
                "run" => kind = FenceKind::ShellRun,
                "fails" => options.fails = true,
                "real" => options.needs_real_redis = true,
                "after=" => after = Some(duration(value)?),
                "watch=" => watch = Some(watched(value)?),
                _ => options.from = Some(path_and_region(value)?),
            }
        }
        if after.is_none() && watch.is_some() {
            return Err("`watch=` also needs a wait, for example `after=11s`".into());
        }
        options.wait = after.map(|span| Wait { span, watch });
        Ok(Self { kind, options })
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
                "`after={text}` is too long: `learn --yes` must finish all lessons within {most}s"
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
            ("sh try", FenceKind::ShellTry),
            ("quiz", FenceKind::Quiz),
            ("mermaid", FenceKind::Diagram),
            (
                "python from=examples/flask/app.py#step2",
                FenceKind::Code("python".into()),
            ),
            ("", FenceKind::Code("text".into())),
        ] {
            assert_eq!(Fence::parse(info, 1).unwrap().kind, kind, "{info}");
        }
        let fence = Fence::parse("redis fails after=1500ms", 1).unwrap();
        assert!(fence.options.fails);
        assert_eq!(fence.options.wait.unwrap().span, Duration::from_millis(1500));
    }

    const INVALID: &[&str] = &[
        "redis chek",
        "redis run",
        "sh check",
        "sh run try",
        "quiz after=1s",
        "python run",
        "mermaid real",
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
            assert!(Fence::parse(info, 1).is_err(), "{info}");
        }
    }

    #[test]
    fn wording_of_errors() {
        let message = |info: &&str| format!("{info}\n  {}\n", Fence::parse(info, 1).unwrap_err());
        let messages: String = INVALID.iter().map(message).collect();
        crate::golden::assert_golden("learn/fence-errors.txt", &messages);
    }
}
