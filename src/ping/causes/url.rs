//! Suggests fixes for URLs that cannot be used.

use super::commands::{ask_for_password, shell_quoted, url_with_login};
use super::fix::{Fix, Fixes, advise};
use super::fix_context::FixContext;
use crate::redis_url::{UrlError, UrlErrorKind, UrlWarning};
use crate::secret::MASK;

/// Returns the fixes for an invalid URL, including the intended URL if it is clear.
pub(crate) fn url_fixes(error: &UrlError) -> Vec<Fix> {
    let fixes = match error.kind {
        UrlErrorKind::Encoding => encoding().after(suggestion(error)),
        _ => suggestion(error).or_else(|| advice(error)).unwrap_or_else(form),
    };
    fixes.into()
}

fn advice(error: &UrlError) -> Option<Fixes> {
    let fixes = advise("url", error.advice.as_ref()?);
    Some(match &error.command {
        Some(command) => fixes.command(command),
        None => fixes,
    })
}

/// Suggests the URL that the user probably meant. The command prompts for the password if the URL contains
/// one.
fn suggestion(error: &UrlError) -> Option<Fixes> {
    let url = error.suggestion.as_ref()?;
    Some(if url.contains(MASK) {
        let without_password = url
            .replacen(&format!(":{MASK}@"), "@", 1)
            .replacen("://@", "://", 1);
        let text = format!(
            "you probably meant {url}. Test this URL with the following command, which asks for the password. \
             If the test succeeds, put this URL into the application's REDIS_URL, with the password in place \
             of {MASK}. If you copy the password from a URL that works, leave it unchanged. If not, replace \
             these characters in the password: / by %2F, # by %23, ? by %3F, @ by %40, % by %25, and a space by %20"
        );
        advise("url", text).command(ask_for_password(&format!(
            "sessiontut ping {}",
            shell_quoted(&without_password)
        )))
    } else {
        let advice = if error.is_about_variables {
            "use the URL that you probably meant, which takes precedence over these variables. Then correct the \
             variables in the application's settings"
        } else {
            "use the URL that you probably meant, and correct the application's REDIS_URL too"
        };
        advise("url", advice).command(format!("export REDIS_URL={}", shell_quoted(url)))
    })
}

/// Explains the form of a URL.
pub(super) fn form() -> Fixes {
    advise(
        "url",
        "write the URL as redis://HOST:6379/0. With a password, write redis://:PASSWORD@HOST:6379/0. With TLS, \
         write rediss:// instead of redis://",
    )
}

pub(super) fn encoding() -> Fixes {
    advise(
        "encode",
        "percent-encode the user name and the password. The following command asks for a user name or a password, \
         and prints it percent-encoded",
    )
    .command("python3 -c 'import getpass, urllib.parse as u; print(u.quote(getpass.getpass(), safe=\"\"))'")
}

pub(super) fn suspect_url(at: &FixContext) -> Fixes {
    let warnings = &at.target.warnings;
    let is_about_query = |warning: &UrlWarning| matches!(warning, UrlWarning::IgnoredOptions(_));
    let query = warnings.iter().any(is_about_query).then(|| {
        let text = "set client options in the code, not in the URL's query string";
        advise("url", text)
    });
    if warnings.contains(&UrlWarning::UserWithoutPassword) && at.reads_variables() {
        return advise("url", "if the user has a password, set REDIS_PASSWORD, too").and_all(query);
    }
    if warnings.contains(&UrlWarning::UserWithoutPassword) {
        let url = url_with_login(at.target, ":PASSWORD");
        let text = format!("if the part before the @ is the password, put a colon before it: {url}");
        return advise("url", text).and_all(query);
    }
    query.unwrap_or_else(form)
}
