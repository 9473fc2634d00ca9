//! Checks that the token in the cookie is random, secret, and different after each login.

use percent_encoding::percent_decode_str;

use super::store::creates_no_key;
use crate::check::forgery::{changed, reveals};
use crate::check::grader::{Grader, LoggedIn};
use crate::check::judged::{Judged, fails, not_judged, require};
use crate::random;

/// The minimum number of random bits in a token.
const LEAST_BITS: f64 = 128.0;
/// The number of tokens that are compared with each other.
const SAMPLES: usize = 6;
pub(crate) async fn cookie_reveals_nothing(grader: &mut Grader) -> Judged {
    let cookie = grader.session_cookie().await?;
    let name = grader.name();
    let first = grader.logged_in_as(name.clone()).await?;
    let second = grader.logged_in_as(name.clone()).await?;
    let value = |user: &LoggedIn| user.visitor.cookie(&cookie).unwrap_or_default();
    let (one, two) = (value(&first), value(&second));
    let did = format!("two logins as {name} from two browsers");
    let mut cookies = first.visitor.cookies().into_iter();
    if let Some((cookie, value)) = cookies.find(|(_, value)| reveals(value, &name)) {
        let got = format!("{cookie}={value}");
        return fails(did, "cookies without the name", got, [&first.login]);
    }
    let both = [&first.login, &second.login];
    if one == two {
        let got = format!("twice {cookie}={one}");
        return fails(did, "two different cookies", got, both);
    }
    let mut tokens = vec![one, two];
    while tokens.len() < SAMPLES {
        tokens.push(value(&grader.logged_in().await?));
    }
    let bits = bits(&tokens);
    require(
        bits >= LEAST_BITS,
        did,
        "a random token of at least 128 bits",
        format!("at most {bits:.0} bits: {cookie}={}", tokens.join(", ")),
        both,
    )
}

/// Estimates the maximum number of random bits in each of these cookie values from their length and alphabet.
fn bits(values: &[String]) -> f64 {
    /// The minimum number of identical characters in all values that counts as a fixed part. Fewer identical
    /// characters may be a version or separators, as in a UUID.
    const FEW: usize = 5;
    let values: Vec<Vec<char>> = values
        .iter()
        .map(|value| percent_decode_str(value).decode_utf8_lossy().chars().collect())
        .collect();
    let Some(shortest) = values.iter().map(Vec::len).min() else {
        return 0.0;
    };
    let is_constant = |at: &usize| values.iter().all(|value| value[*at] == values[0][*at]);
    let constant = (0..shortest).filter(is_constant).count();
    let is_separator = |at: &usize| is_constant(at) && !values[0][*at].is_alphanumeric();
    let separators = (0..shortest).filter(is_separator).count();
    let fixed = match constant - separators {
        few if few < FEW => separators,
        _ => constant,
    };
    let letters = || {
        values
            .iter()
            .flatten()
            .copied()
            .filter(char::is_ascii_alphanumeric)
    };
    let (has_upper, has_lower) = (
        letters().any(|letter| letter.is_ascii_uppercase()),
        letters().any(|letter| letter.is_ascii_lowercase()),
    );
    let alphabet: u8 = if letters().all(|letter| letter.is_ascii_digit()) {
        10
    } else if letters().all(|letter| letter.is_ascii_hexdigit()) && !(has_upper && has_lower) {
        16
    } else if has_upper && has_lower {
        64
    } else {
        36
    };
    (shortest - fixed) as f64 * f64::from(alphabet).log2()
}

pub(crate) async fn brought_token_is_not_adopted(grader: &mut Grader) -> Judged {
    let cookie = grader.session_cookie().await?;
    let user = grader.logged_in().await?;
    let planted = made_up(&user, &cookie);
    let name = grader.name();
    let mut attacker = user.visitor.with_cookie(&cookie, Some(&planted));
    let mut victim = attacker.clone();
    let sent = victim.sent_cookies();
    let login = victim.log_in(&name).await;
    let home = attacker.home().await;
    require(
        victim.cookie(&cookie).as_ref() != Some(&planted) && !grader.shows_login(&home),
        format!("logged in with a made-up value of {cookie} (Cookie: {sent})"),
        "a new token",
        "the session has the token that the client chose",
        [&login, &home],
    )
}

/// Returns a token in the same format as the app's tokens, but not created by the app.
fn made_up(user: &LoggedIn, cookie: &str) -> String {
    let value = user.visitor.cookie(cookie).unwrap_or_default();
    let mut noise = random::hexadecimal::<32>().into_bytes().into_iter().cycle();
    // Keep the real token's length and punctuation.
    value
        .chars()
        .map(|letter| match letter {
            letter if letter.is_ascii_alphanumeric() => noise.next().map_or('0', char::from),
            other => other,
        })
        .collect()
}

pub(crate) async fn login_changes_the_token(grader: &mut Grader) -> Judged {
    let cookie = grader.session_cookie().await?;
    let mut user = grader.logged_in().await?;
    let first = grader.visit(&mut user).await?;
    let mut old = user.visitor.clone();
    let second = grader.name();
    let login = user.visitor.log_in(&second).await;
    let did = format!("logged in as {}, then as {second} in the same browser", user.name);
    if user.visitor.cookie(&cookie) == old.cookie(&cookie) {
        return fails(did, "a new token", "the same token", [&user.login, &login]);
    }
    let home = old.home().await;
    if grader.shows_login(&home) {
        let got = "a copy of the old cookie still works";
        return fails(did, "the old session has ended", got, [&first, &login, &home]);
    }
    // An app may create a session when a visitor opens the home page.
    let mut visitor = grader.visitor();
    visitor.home().await;
    let Some(anonymous) = visitor.cookie(&cookie) else {
        return Ok(());
    };
    let login = visitor.log_in(&second).await;
    require(
        visitor.cookie(&cookie) != Some(anonymous),
        "logged in with a cookie from before the login",
        "a new token",
        "the same token",
        [&login],
    )
}

pub(crate) async fn made_up_token_leaves_no_key(grader: &mut Grader) -> Judged {
    grader.proxy()?;
    let cookie = grader.session_cookie().await?;
    let user = grader.logged_in().await?;
    let token = made_up(&user, &cookie);
    let other = changed(&user.visitor.cookie(&cookie).unwrap_or_default());
    for token in [token, other] {
        let mut visitor = user.visitor.with_cookie(&cookie, Some(&token));
        let sent = visitor.sent_cookies();
        let did = format!("a visit with a made-up value of {cookie} (Cookie: {sent})");
        creates_no_key(grader, &did, &mut visitor).await?;
    }
    Ok(())
}

pub(crate) async fn key_is_not_the_token(grader: &mut Grader) -> Judged {
    /// The minimum length of a token in a key, because shorter parts of a key are words.
    const SHORTEST: usize = 16;
    grader.proxy()?;
    let cookie = grader.session_cookie().await?;
    let mut user = grader.logged_in().await?;
    let home = grader.visit(&mut user).await?;
    let value = user.visitor.cookie(&cookie).unwrap_or_default();
    let value = percent_decode_str(&value).decode_utf8_lossy().into_owned();
    for key in home.keys() {
        let text = String::from_utf8_lossy(&key).into_owned();
        let mut parts = text.split([':', '/', '.']);
        if parts.any(|part| part.len() >= SHORTEST && value.contains(part)) {
            let expected = "a key from which the cookie cannot be computed";
            return fails("a visit", expected, format!("the key {text}"), [&home]);
        }
    }
    Ok(())
}

pub(crate) async fn output_contains_no_token(grader: &mut Grader) -> Judged {
    /// The minimum length of a value to search for, because shorter values could occur in the output by
    /// chance.
    const SHORTEST: usize = 16;
    let Some(app) = &grader.app else {
        return Err(not_judged(
            "`check` did not start the app, so it cannot check the output of the app",
        ));
    };
    let Some(output) = app.output.whole() else {
        return Err(not_judged("the app printed too much output"));
    };
    let mut tokens = grader.tokens.iter().filter(|token| token.len() >= SHORTEST);
    match tokens.find(|token| output.contains(token.as_str())) {
        None => Ok(()),
        Some(token) => {
            let got = format!("{token} is in {}", app.output.file.display());
            fails("all requests of this run", "no token in the output", got, [])
        }
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_counted_by_length_and_alphabet() {
        let bits =
            |values: &[&str]| bits(&values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>());
        // 16 bytes in base64 with the characters - and _.
        assert!(bits(&["DP7-yA8uTrvbePcdroooTA", "7LbRdKZRqH-6ANHwAjtkMQ"]) >= 128.0);
        let uuids = [
            "0d8f7a3c-4b1e-4f6a-9a0b-1c2d3e4f5a6b",
            "ba7d3f60-9c2e-4a18-8d5f-f0e1d2c3b4a5",
        ];
        assert!(bits(&uuids) >= 128.0);
        let counted = [
            "00000000000000000000000000000001",
            "00000000000000000000000000000002",
        ];
        assert!(bits(&counted) < 8.0);
        assert!(bits(&["17954321", "28465110"]) < 128.0);
        // UUIDs of version 7 begin with the time, so their first characters are the same.
        let times = [
            "01985b7e-3c10-7f6a-9a0b-1c2d3e4f5a6b",
            "01985b7e-3c55-7a18-8d5f-f0e1d2c3b4a5",
        ];
        assert!(bits(&times) < 128.0);
    }
}
