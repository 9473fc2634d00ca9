//! Recognises variables, templates and placeholders that were not replaced with their values.

use std::sync::LazyLock;

use regex_lite::Regex;

use super::super::UrlError;
use super::super::error::invalid;
use super::super::parse::end_of_authority;

/// Matches `$NAME`, `${NAME}`, `${NAME:-default}`, `$(NAME)`, `%NAME%` and `$env:NAME`. In `$NAME` and
/// `%NAME%`, only a name without lower-case letters matches, because a password can begin with the same
/// character.
static VARIABLE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^(?:\$\{([A-Za-z_]\w*)(?:[:?.-].*)?\}|\$\((.+)\)|%([A-Z_][A-Z0-9_]{2,})%|\$env:([A-Za-z_]\w*)|\$([A-Z_][A-Z0-9_]{2,}))$",
    )
});
/// Matches `{{ name }}`, `${{ name }}`, `<%= name %>`, `#{name}` and `@Microsoft.KeyVault(…)`.
static TEMPLATE: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?s)^(?:\$?\{\{.*\}\}|<%.*%>|#\{.*\}|@Microsoft\.KeyVault\(.*\))$"));
/// Matches `<password>`, `[password]`, `{password}`, `YOUR_PASSWORD` and `PASSWORD`.
static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^(?:<[A-Za-z ._-]{2,}>|\[[A-Za-z ._-]{2,}\]|\{[A-Za-z ._-]{2,}\}|PASSWORD|USERNAME|USER|(?i:your)[ _-][A-Za-z ._-]*)$",
    )
});
/// Matches placeholders for the user's own endpoint, as used in instructions.
static HOST_PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"^(?:HOST|HOSTNAME|ENDPOINT|ADDRESS|<.*>.*|(?i:primary[_-]endpoint))$|\.xxxxxx\.|(?i:your)[_-]")
});
/// Matches the asterisks or dots that replace a password where it is displayed.
static ASTERISKS: LazyLock<Regex> = LazyLock::new(|| regex(r"^[*\u{2022}\u{2026}]{3,}$"));

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("this constant is a valid regex")
}

/// Returns an error if the whole text, or a part such as the host or the password, is a variable or a
/// placeholder.
///
/// A part that merely contains a placeholder is accepted, because a password can contain the same characters.
pub(in crate::redis_url) fn not_filled_in(text: &str) -> Option<UrlError> {
    let text = text.trim();
    let whole = text.trim_matches(['"', '\'']);
    if let Some(form) = Form::of(whole) {
        let name = name_of(whole).filter(|_| form.is_shell_variable());
        return Some(UrlError {
            command: name.map(|name| format!("sessiontut ping \"${{{name}:?is not set}}\"")),
            ..invalid(not_replaced("URL", whole, form)).with_advice(form.advice())
        });
    }
    let (_, rest) = text.split_once("://")?;
    let (login, place) = rest.rsplit_once('@').unwrap_or(("", rest));
    let (user, password) = login.split_once(':').unwrap_or(("", login));
    let host = host_of(end_of_authority(place));
    if let Some(form) = Form::of(host) {
        return error(not_replaced("host", host, form), form.advice());
    }
    if PLACEHOLDER.is_match(host) || HOST_PLACEHOLDER.is_match(host) {
        return error(
            "the host is a placeholder that was not filled in: replace it with the endpoint of your Redis server"
                .into(),
            "replace the placeholder with the host name of your Redis server, from your provider or administrator",
        );
    }
    if is_missing_value(host) {
        return error(
            format!("the host is {host}: programs write this word if the variable for the host has no value"),
            "set the variable that should contain the host, in the environment of the program that builds the URL",
        );
    }
    let parts = [("user name", user), ("password", password)];
    for (what, part) in parts {
        if let Some(form) = Form::of(part) {
            let advice = format!(
                "{}. If the text is really your {what}, percent-encode it ($ is %24, {{ is %7B, }} is %7D)",
                form.advice()
            );
            return error(not_replaced(what, part, form), &advice);
        }
    }
    if ASTERISKS.is_match(password) {
        return error(
            "the password in the URL consists only of asterisks or dots: it is a placeholder that was not filled in".into(),
            "put the real password into the URL, and percent-encode it",
        );
    }
    if let Some(error) = after_host(text, place, host) {
        return Some(error);
    }
    let (what, part) = parts.into_iter().find(|(_, part)| PLACEHOLDER.is_match(part))?;
    placeholder(what, part)
}

/// Returns the error for a user name or password that is a placeholder.
fn placeholder(what: &str, part: &str) -> Option<UrlError> {
    let (form, brackets, escapes) = match part.chars().next() {
        Some('<') => (
            "a placeholder in angle brackets",
            ", including its brackets,",
            " (< is %3C, > is %3E)",
        ),
        Some('[') => (
            "a placeholder in square brackets",
            ", including its brackets,",
            " ([ is %5B, ] is %5D)",
        ),
        Some('{') => (
            "a placeholder in braces",
            ", including its braces,",
            " ({ is %7B, } is %7D)",
        ),
        _ => ("a placeholder, such as PASSWORD", "", ""),
    };
    error(
        format!("the {what} is {form}, which was not filled in"),
        &format!(
            "in the application's REDIS_URL, replace the placeholder{brackets} with the {what} from your secret \
             store or provider. If the text is really your {what}, percent-encode it{escapes}"
        ),
    )
}

/// Returns an error if the port, or a part of the path, is a variable or a missing value.
fn after_host(text: &str, place: &str, host: &str) -> Option<UrlError> {
    // Without a host before it, this text might be part of a password.
    if host.is_empty() {
        return None;
    }
    let rest = &place[place.find(host)? + host.len()..];
    let (port, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.split('?').next().unwrap_or_default();
    let path_is = if text.contains("sentinel") {
        "name of the primary"
    } else {
        "database number"
    };
    let parts = [("port", port.trim_start_matches(':'))].into_iter();
    let mut parts = parts.chain(path.split('/').map(|part| (path_is, part)));
    parts.find_map(|(what, part)| {
        if let Some(form) = Form::of(part) {
            return error(not_replaced(what, part, form), form.advice());
        }
        if !is_missing_value(part) {
            return None;
        }
        error(
            format!("the {what} is {part}: programs write this word if a variable has no value"),
            "set the variable in the environment of the program that builds the URL, or omit this part of the URL",
        )
    })
}

fn error(message: String, advice: &str) -> Option<UrlError> {
    Some(invalid(message).with_advice(advice))
}

/// Whether `text` is a word that JavaScript, Python, Ruby or Go writes for a missing value.
pub(crate) fn is_missing_value(text: &str) -> bool {
    [
        "undefined",
        "null",
        "None",
        "nil",
        "NaN",
        "[object Object]",
        "<nil>",
    ]
    .contains(&text)
}

/// The syntax of a variable or template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `$NAME` or `${NAME}`, as in a POSIX shell.
    Shell,
    /// `$(NAME)`, as in Kubernetes.
    Parentheses,
    /// `%NAME%`, as in cmd.exe.
    Cmd,
    /// `$env:NAME`, as in PowerShell.
    PowerShell,
    /// `${{ name }}`, as in GitHub Actions.
    Actions,
    /// `@Microsoft.KeyVault(…)`, as in Azure.
    KeyVault,
    /// `{{ name }}`, `<%= name %>` or `#{name}`, as in template languages.
    Template,
}

impl Form {
    fn of(text: &str) -> Option<Self> {
        // Most texts begin with another character, so the regular expressions, which take long to compile,
        // are not needed.
        if !text.starts_with(['$', '%', '{', '<', '#', '@']) {
            return None;
        }
        let starts = |start: &str| text.starts_with(start);
        let is_template = TEMPLATE.is_match(text);
        (is_template || VARIABLE.is_match(text)).then_some(match () {
            () if starts("${{") => Self::Actions,
            () if starts("@") => Self::KeyVault,
            () if is_template => Self::Template,
            () if starts("$(") => Self::Parentheses,
            () if starts("%") => Self::Cmd,
            () if starts("$env:") => Self::PowerShell,
            () => Self::Shell,
        })
    }

    /// Whether this is a shell's syntax for a variable.
    fn is_shell_variable(self) -> bool {
        matches!(self, Self::Shell | Self::Cmd | Self::PowerShell)
    }

    /// Returns the name of this syntax, and examples of it.
    fn describe(self) -> (&'static str, &'static str) {
        match self {
            Self::Shell => ("variable", "$NAME or ${NAME}"),
            Self::Parentheses => ("variable", "$(NAME)"),
            Self::Cmd => ("variable", "%NAME%"),
            Self::PowerShell => ("variable", "$env:NAME"),
            Self::Actions => ("template", "${{ … }}"),
            Self::KeyVault => ("reference to a key vault", "@Microsoft.KeyVault(…)"),
            Self::Template => ("template", "{{ … }}, <%= … %> or #{ … }"),
        }
    }

    /// Returns advice on how to fill in the value.
    fn advice(self) -> &'static str {
        match self {
            Self::Shell => {
                "set the variable. In a shell, use double quotes, because a shell does not replace variables in \
                 single quotes. In files for docker --env-file, systemd (EnvironmentFile) and Kubernetes, write \
                 the value itself, because variables in these files are not replaced"
            }
            Self::Parentheses => {
                "in Kubernetes, define NAME for the same container, above the variable that contains $(NAME). In a \
                 shell, write \"$NAME\", because a shell runs $(NAME) as a command"
            }
            Self::Cmd => "write \"$NAME\" in a POSIX shell: only cmd.exe on Windows replaces %NAME%",
            Self::PowerShell => {
                "write \"$NAME\" in a POSIX shell: only PowerShell replaces $env:NAME (but not in single quotes)"
            }
            Self::Actions => {
                "check that the name exists in the configuration of GitHub Actions or Railway, because only these \
                 services replace ${{ … }}. Or set REDIS_URL to the value itself"
            }
            Self::KeyVault => {
                "check the status of the reference in the Azure portal. Perhaps the app's identity is not allowed to \
                 read the secret, or the name of the secret is wrong"
            }
            Self::Template => {
                "render the template with its own tool (Helm, Ansible, ERB, Octopus) before you use the value, or \
                 set REDIS_URL to the value itself"
            }
        }
    }
}

fn not_replaced(what: &str, text: &str, form: Form) -> String {
    let (noun, written) = form.describe();
    let shown = match what {
        // The text is not shown, because it might be the password itself.
        "password" | "user name" => format!(", written as {written}"),
        _ => name_of(text)
            .map(str::to_owned)
            .or_else(|| shown(text))
            .map_or_else(|| format!(", written as {written}"), |shown| format!(": {shown}")),
    };
    format!("the {what} is a {noun} that was not replaced by its value{shown}")
}

/// Whether `text` looks like the name of a setting rather than a secret.
fn is_usual_name(text: &str) -> bool {
    const WORDS: [&str; 16] = [
        "redis", "valkey", "cache", "pass", "pwd", "secret", "token", "auth", "key", "user", "name", "host",
        "url", "uri", "endpoint", "your",
    ];
    let lower = text.to_ascii_lowercase();
    WORDS.iter().any(|word| lower.contains(word))
}

/// Returns `text` if it is a usual name, with or without the brackets of a placeholder. Otherwise, returns
/// `None`, because the text might be a secret.
fn shown(text: &str) -> Option<String> {
    const LONGEST: usize = 40;
    let is_plain = |one: char| one.is_ascii_alphabetic() || "_-. <>[]{}$%=#".contains(one);
    let is_name = text.len() <= LONGEST && text.chars().all(is_plain) && is_usual_name(text);
    is_name.then(|| text.to_owned())
}

/// Returns the host in `HOST:PORT`. The host can be a template that contains a colon.
fn host_of(place: &str) -> &str {
    if place.starts_with(['$', '{', '<', '%', '#']) {
        let end = place.rfind(['}', '>', ')', '%']).map_or(0, |at| at + 1);
        if end > 1 {
            return &place[..end];
        }
    }
    place.split(':').next().unwrap_or_default()
}

/// Returns the name in `variable`, or `None` if the text might not be a variable.
fn name_of(variable: &str) -> Option<&str> {
    let found = VARIABLE.captures(variable)?;
    let name = found.iter().skip(1).flatten().next()?.as_str();
    let is_plain = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    is_plain.then_some(name)
}
