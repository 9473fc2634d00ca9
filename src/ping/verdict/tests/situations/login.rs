//! Lists examples with logins and permissions.

use super::*;

fn permissions(replies: &[(&'static str, &str)]) -> Observations {
    let mut seen = pong();
    seen.write_test = Some(WriteTest {
        queued: Vec::new(),
        executed: reply("-EXECABORT Transaction discarded because of: NOPERM no permission"),
    });
    seen.permissions = replies.iter().map(|(name, text)| (*name, reply(text))).collect();
    seen
}

pub(super) fn auth_required() -> Vec<Situation> {
    vec![
        seen("no password", IP, error("-NOAUTH Authentication required.")),
        seen(
            "a user only",
            "redis://secret@10.0.3.17",
            error("-NOAUTH Authentication required."),
        ),
    ]
}

pub(super) fn auth_failed() -> Vec<Situation> {
    vec![
        seen(
            "a user",
            IP_WITH_LOGIN,
            login("-WRONGPASS invalid username-password pair or user is disabled."),
        ),
        seen(
            "encoded twice",
            "redis://:Plover%252F4417@10.0.3.17",
            login("-WRONGPASS invalid pair"),
        ),
        seen(
            "an IAM token",
            "redis://ada:cache%2F%3FAction=connect@10.0.3.17",
            login("-WRONGPASS invalid pair"),
        ),
        seen(
            "an access token",
            "rediss://ada:eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJyZWRpcyJ9.c2ln@10.0.3.17",
            login("-WRONGPASS invalid pair"),
        ),
        seen(
            "a password in quotes",
            "redis://:%22Plover-4417%22@10.0.3.17",
            login("-WRONGPASS invalid pair"),
        ),
        seen(
            "a server without users",
            "redis://:Plover-4417@10.0.3.17",
            login("-ERR invalid password"),
        ),
        seen(
            "a Sentinel with another password",
            "redis+sentinel://:Plover-4417@10.0.3.17/shop",
            asked(
                SentinelAnswer::None,
                login("-WRONGPASS invalid username-password pair or user is disabled."),
            ),
        ),
        seen(
            "a user of a provider",
            "rediss://ada:Plover-4417@shop.redis.cache.windows.net:6380",
            login("-WRONGPASS invalid username-password pair or user is disabled."),
        ),
        seen(
            "before Redis 6",
            IP_WITH_LOGIN,
            login("-ERR wrong number of arguments for 'auth' command"),
        ),
    ]
}

pub(super) fn auth_not_configured() -> Vec<Situation> {
    vec![
        seen(
            "no password set",
            "redis://:Plover-4417@10.0.3.17",
            login("-ERR AUTH <password> called without any password configured for the default user."),
        ),
        seen(
            "no AUTH",
            "redis://:Plover-4417@10.0.3.17",
            login("-ERR unknown command 'AUTH'"),
        ),
    ]
}

pub(super) fn auth_no_permission() -> Vec<Situation> {
    vec![
        seen(
            "a forbidden write",
            IP_WITH_LOGIN,
            write_refused("-NOPERM this user has no permissions"),
        ),
        seen(
            "some commands",
            IP_WITH_LOGIN,
            permissions(&[
                (
                    "HSET",
                    "-NOPERM this user has no permissions to run the 'hset' command",
                ),
                ("HGETALL", "*0"),
                (
                    "EXEC",
                    "-EXECABORT Transaction discarded because of: NOPERM no 'exec' command",
                ),
            ]),
        ),
        seen(
            "in ElastiCache",
            "rediss://ada:Plover-4417@master.shop.abc123.euc1.cache.amazonaws.com",
            permissions(&[
                ("HSET", "-NOPERM No permissions to access a key"),
                ("EXEC", "-NOPERM no command"),
            ]),
        ),
        seen(
            "other keys only",
            IP_WITH_LOGIN,
            permissions(&[("HSET", "-NOPERM No permissions to access a key")]),
        ),
        seen(
            "a Sentinel",
            SENTINEL,
            asked(
                SentinelAnswer::Other(reply(
                    "-NOPERM this user has no permissions to run the 'sentinel|get-master-addr-by-name' command",
                )),
                pong(),
            ),
        ),
        seen("SELECT", "redis://ada:Plover-4417@10.0.3.17/3", {
            let mut seen = permissions(&[("HGETALL", "*0")]);
            seen.requests.select = Some(reply(
                "-NOPERM this user has no permissions to run the 'select' command",
            ));
            seen
        }),
    ]
}

pub(super) fn auth_plaintext() -> Vec<Situation> {
    vec![seen("a password", "redis://:Plover-4417@10.0.3.17", pong())]
}
