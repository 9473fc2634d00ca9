//! The login form's one field, read strictly: what is missing, doubled or not text is refused with a reason.

use percent_encoding::percent_decode;

/// The field's name.
pub(super) const FIELD: &str = "username";
/// Characters (Unicode scalars) that a name may have.
pub(super) const LONGEST_NAME: usize = 64;

/// Why a form logs nobody in; the text is for the person who filled it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormFault {
    /// No such field; in a form of another kind, such as multipart, it would not be found either.
    #[error("The form, read as application/x-www-form-urlencoded, has no field “username”")]
    Missing,
    /// The field came twice, and only one of them could be meant.
    #[error("The form has the field “username” more than once")]
    Twice,
    /// The bytes are no text.
    #[error("The name is not UTF-8 text")]
    NotText,
    /// Nothing but white space.
    #[error("Please enter a name")]
    Empty,
    /// More characters than are kept.
    #[error("A name has at most 64 characters")]
    TooLong,
    /// A line feed, a NUL, an escape.
    #[error("A name has no control characters")]
    Control,
}

/// The user name in an `application/x-www-form-urlencoded` body.
pub(super) fn user_name(body: &[u8]) -> Result<String, FormFault> {
    let mut found = None;
    for pair in body.split(|&byte| byte == b'&') {
        let (name, value) = match pair.iter().position(|&byte| byte == b'=') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &pair[pair.len()..]),
        };
        if decoded(name) != FIELD.as_bytes() {
            continue;
        }
        if found.replace(value).is_some() {
            return Err(FormFault::Twice);
        }
    }
    let value = decoded(found.ok_or(FormFault::Missing)?);
    let text = String::from_utf8(value).map_err(|_| FormFault::NotText)?;
    checked(&text)
}

/// The name without the white space around it.
fn checked(text: &str) -> Result<String, FormFault> {
    let name = text.trim();
    if name.chars().any(char::is_control) {
        Err(FormFault::Control)
    } else if name.is_empty() {
        Err(FormFault::Empty)
    } else if name.chars().count() > LONGEST_NAME {
        Err(FormFault::TooLong)
    } else {
        Ok(name.to_owned())
    }
}

fn decoded(field: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = field
        .iter()
        .map(|&byte| if byte == b'+' { b' ' } else { byte })
        .collect();
    percent_decode(&spaced).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_and_decoded() {
        for (body, name) in [
            ("username=ada", "ada"),
            ("username=+Ada+Lovelace+", "Ada Lovelace"),
            ("x=1&username=%C3%A9va&y", "éva"),
            ("%75sername=ada", "ada"),
            ("username=a%3Db=c%26d", "a=b=c&d"),
            ("username=%3Cscript%3E", "<script>"),
            ("username=100%", "100%"),
        ] {
            assert_eq!(user_name(body.as_bytes()).as_deref(), Ok(name), "{body}");
        }
        let longest = "é".repeat(LONGEST_NAME);
        assert_eq!(
            user_name(format!("username={longest}").as_bytes()),
            Ok(longest.clone())
        );
    }

    #[test]
    fn what_is_no_name_is_refused_with_its_reason() {
        for (body, fault) in [
            (&b""[..], FormFault::Missing),
            (b"user=ada", FormFault::Missing),
            (b"{\"username\":\"ada\"}", FormFault::Missing),
            (b"username=ada&username=eve", FormFault::Twice),
            (b"username=ada&user%6eame=ada", FormFault::Twice),
            (b"username=%ff", FormFault::NotText),
            (b"username=\xff", FormFault::NotText),
            (b"username=", FormFault::Empty),
            (b"username", FormFault::Empty),
            (b"username=%20+", FormFault::Empty),
            (b"username=a%00b", FormFault::Control),
            (b"username=a%0d%0aSet-Cookie:x", FormFault::Control),
            (b"username=%c2%85x%c2%9b", FormFault::Control),
        ] {
            assert_eq!(user_name(body), Err(fault), "{}", String::from_utf8_lossy(body));
        }
        let too_long = format!("username={}", "a".repeat(LONGEST_NAME + 1));
        assert_eq!(user_name(too_long.as_bytes()), Err(FormFault::TooLong));
    }
}
