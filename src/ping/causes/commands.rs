//! Builds commands that users can run. No command contains a password.

use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::redis_url::{Address, Target, Trust, host_and_port};
use crate::sanitize;

/// Shell code that turns off the terminal's echo, reads a password, and prints the password to standard
/// output.
///
/// Fails if the password is empty. Turns the echo on again even after Ctrl-C. Ignores Ctrl-Z, because a
/// stopped command would leave the echo off. `read -s` is simpler, but does not exist in every shell.
pub(super) const READ_PASSWORD: &str = "trap '' TSTP; trap 'stty echo; echo >&2' EXIT; trap 'exit 1' HUP INT TERM; \
                                        stty -echo; printf 'Password: ' >&2; IFS= read -r word; printf %s \"$word\"; \
                                        [ -n \"$word\" ]";

/// The characters that must be percent-encoded in the path of a URL.
const IN_A_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_');

/// Quotes a word for a POSIX shell. Use this function for every text from the URL, DNS, the server, a
/// Sentinel or the instance metadata.
pub(super) fn shell_quoted(word: &str) -> String {
    let word = sanitize::line(word);
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_bare) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Returns a `sessiontut ping` command for `target`, with `options` and the TLS options in `trust`. The
/// command prompts for a password if `target` contains one. If the password came from `REDISCLI_AUTH` and was
/// removed from `target`, the command unsets this variable.
pub(super) fn ping(target: &Target, trust: &Trust, options: &str) -> String {
    let login = user(target).map_or_else(String::new, |user| {
        format!("{}@", utf8_percent_encode(user, NON_ALPHANUMERIC))
    });
    let (scheme, db) = (scheme(target), target.db);
    let url = match &target.address {
        _ if target.sentinels.is_some() => target.without_password(),
        Address::Tcp { host, port } => format!("{scheme}://{login}{}/{db}", host_and_port(host, *port)),
        Address::Unix(path) => {
            let path = path.to_string_lossy();
            let url = format!("unix://{login}{}", utf8_percent_encode(&path, IN_A_PATH));
            if db == 0 { url } else { format!("{url}?db={db}") }
        }
    };
    let tls = ping_tls_options(target, trust, options);
    let command = format!("sessiontut ping {options}{tls}{}", shell_quoted(&url));
    match target.password {
        Some(_) => ask_for_password(&command),
        // Otherwise, `ping` would read the password from the variable again.
        None if target.password_variable == Some("REDISCLI_AUTH") => {
            format!("unset REDISCLI_AUTH; {command}")
        }
        None => command,
    }
}

/// Returns a command line that prompts for a password, and passes it to `command` in the variable
/// `REDISCLI_AUTH`.
pub(super) fn ask_for_password(command: &str) -> String {
    format!("REDISCLI_AUTH=$({READ_PASSWORD}) && export REDISCLI_AUTH && {command}")
}

/// Returns a redis-cli command with these arguments. The command prompts for a password if `target` contains
/// one.
pub(super) fn redis_cli(target: &Target, trust: &Trust, arguments: &str) -> String {
    let (address, login) = (address_options(target, trust), login_options(target));
    format!("redis-cli{address}{login} {arguments}")
}

/// Tells the user which password an [`admin_cli`] command asks for.
pub(super) const ADMIN_LOGIN: &str = "The following command asks for the password of the default user (press Enter \
                                      if there is none). To log in as another administrator, add --user NAME to \
                                      each redis-cli command";

/// Returns a command line that runs redis-cli `commands` as an administrator instead of the user in `target`.
/// The command line prompts once for the administrator's password.
pub(super) fn admin_cli(target: &Target, trust: &Trust, commands: &[String]) -> String {
    let address = address_options(target, trust);
    match commands {
        [command] => format!("redis-cli{address} --askpass {command}"),
        commands => {
            let lines: Vec<String> = commands
                .iter()
                .map(|command| format!("redis-cli{address} {command}"))
                .collect();
            // A subshell, so that later commands in the user's shell cannot read the password.
            format!(
                "(REDISCLI_AUTH=$({READ_PASSWORD}); export REDISCLI_AUTH; {})",
                lines.join("; ")
            )
        }
    }
}

/// Returns a command line with which an administrator sets ACL `rules` for an existing user. The command line
/// first checks that the user exists, because ACL SETUSER would create a missing user.
pub(super) fn change_user(target: &Target, trust: &Trust, user: &str, rules: &str) -> String {
    let cli = format!("redis-cli{}", address_options(target, trust));
    format!(
        "(REDISCLI_AUTH=$({READ_PASSWORD}); export REDISCLI_AUTH; if {cli} ACL GETUSER {user} | grep -q flags; then \
         {cli} ACL SETUSER {user} {rules}; else echo 'nothing changed, because there is no such user' >&2; fi)"
    )
}

/// Returns the redis-cli options for the address of `target` and for TLS, or an empty string if the host is
/// unknown.
fn address_options(target: &Target, trust: &Trust) -> String {
    match &target.address {
        Address::Unix(path) => format!(" -s {}", shell_quoted(&path.to_string_lossy())),
        Address::Tcp { host, .. } if host.is_empty() => String::new(),
        Address::Tcp { host, port } => {
            let tls = cli_tls_options(target, trust);
            format!(" -h {} -p {port}{tls}", shell_quoted(host))
        }
    }
}

/// Returns the options that pass `trust` to `sessiontut ping`, or an empty string without TLS. Omits
/// `--tls-name` if `options` already contains it.
fn ping_tls_options(target: &Target, trust: &Trust, options: &str) -> String {
    let is_replaced = |option: &str| option.starts_with("--tls-name") && options.contains("--tls-name");
    // Commands with these options test the certificate, so it must be verified.
    let is_about_certificate = ["--tls-name", "--save-ca"]
        .iter()
        .any(|name| options.contains(name));
    let insecure = [
        (trust.is_insecure, "--insecure"),
        (trust.sends_password_insecurely, "--insecure-auth"),
    ];
    let insecure = insecure
        .into_iter()
        .filter(|(is_given, _)| *is_given && !is_about_certificate);
    tls_options(trust, "--ca", "--tls-name")
        .into_iter()
        .chain(insecure.map(|(_, option)| option.to_owned()))
        .filter(|option| target.tls && !is_replaced(option))
        .map(|option| option + " ")
        .collect()
}

/// Returns the options that pass `trust` to redis-cli, or an empty string without TLS. If `trust` has no CA
/// file, `--cacert` is omitted, so redis-cli trusts OpenSSL's default CAs. redis-cli may send the password,
/// so `--insecure` is added only if this run was also allowed to send the password to a server whose
/// certificate cannot be verified.
pub(super) fn cli_tls_options(target: &Target, trust: &Trust) -> String {
    if !target.tls {
        return String::new();
    }
    let mut options = vec![" --tls".to_owned()];
    options.extend(tls_options(trust, "--cacert", "--sni"));
    options.extend(trust.sends_password_insecurely.then(|| "--insecure".to_owned()));
    options.join(" ")
}

/// Returns options that pass `trust` to a command. `ca` and `name` are the option names that differ between
/// commands.
fn tls_options(trust: &Trust, ca: &str, name: &str) -> Vec<String> {
    let options = [
        (ca, trust.ca.as_deref().map(path_quoted)),
        ("--cert", trust.cert.as_deref().map(path_quoted)),
        ("--key", trust.key.as_deref().map(path_quoted)),
        (name, trust.tls_name.as_deref().map(shell_quoted)),
    ];
    options
        .into_iter()
        .filter_map(|(option, value)| Some(format!("{option} {}", value?)))
        .collect()
}

fn path_quoted(path: &Path) -> String {
    shell_quoted(&path.to_string_lossy())
}

/// Returns the redis-cli options that log in as the user in `target`.
pub(super) fn login_options(target: &Target) -> String {
    let user = user(target).map_or_else(String::new, |user| format!(" --user {}", shell_quoted(user)));
    let password = target.password.as_ref().map_or("", |_| " --askpass");
    format!("{user}{password}")
}

/// Returns the user name in `target`. Returns `None` if `target` has no user name or no password.
fn user(target: &Target) -> Option<&str> {
    target.password.as_ref().and(target.user.as_deref())
}

/// Returns the URL scheme of a TCP target.
pub(super) fn scheme(target: &Target) -> &'static str {
    if target.tls { "rediss" } else { "redis" }
}

/// Returns `HOST:PORT` of a TCP target, quoted for a shell.
pub(super) fn endpoint(target: &Target) -> String {
    let (host, port) = (
        target.host().unwrap_or_default(),
        target.port().unwrap_or_default(),
    );
    shell_quoted(&host_and_port(host, port))
}

/// Returns the URL of `target`, with `login` instead of the login in the URL. The result is for a sentence,
/// not for a command.
pub(super) fn url_with_login(target: &Target, login: &str) -> String {
    match &target.address {
        Address::Unix(path) => format!("unix://{login}@{}", sanitize::line(&path.to_string_lossy())),
        Address::Tcp { .. } => format!("{}://{login}@{}/{}", scheme(target), endpoint(target), target.db),
    }
}
