//! Replies to AUTH and SELECT.

use super::{cause, connected, reply, target};
use crate::ping::causes::Cause;
use crate::ping::observation::Observations;
use crate::ping::response::Response;
use crate::ping::verdict::judge;

#[test]
fn each_answer_to_auth_and_select_has_its_cause() {
    let login = |answer: &str| Observations {
        login: Some(reply(answer)),
        ..connected()
    };
    let url = "redis://:Plover-4417@10.0.3.17/3";
    assert_eq!(
        cause(url, &login("-WRONGPASS invalid username-password pair")),
        Some("auth.failed")
    );
    let unset = "-ERR AUTH <password> called without any password configured for the default user.";
    assert_eq!(cause(url, &login(unset)), Some("auth.not_configured"));
    let denied = "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user.";
    assert_eq!(cause(url, &login(denied)), Some("server.protected_mode"));
    for (answer, expected) in [
        (reply("-ERR DB index is out of range"), Some("db.index")),
        (reply("-NOPERM no SELECT"), Some("auth.no_permission")),
        (Response::Closed(vec![]), Some("proto.closed")),
        (Response::Timeout(vec![]), Some("server.silent")),
        (reply("+OK"), None),
    ] {
        let seen = Observations {
            ping: Some(reply("+PONG")),
            select: Some(answer.clone()),
            ..login("+OK")
        };
        assert_eq!(cause(url, &seen), expected, "{answer:?}");
    }
}

#[test]
fn a_server_before_redis_6_rejects_the_user_name_not_the_password() {
    let login = |answer: &str| Observations {
        login: Some(reply(answer)),
        ..connected()
    };
    let arguments = "-ERR wrong number of arguments for 'auth' command";
    assert_eq!(
        cause("redis://shop:Plover-4417@10.0.3.17", &login(arguments)),
        Some("auth.failed")
    );
    for (answer, expected) in [
        ("-ERR invalid password", "auth.failed"),
        ("-ERR Authentication failed", "auth.failed"),
        (
            "-ERR AUTH failed: Client IP address is not in the allowlist.",
            "server.refused",
        ),
        (
            "-ERR Client sent AUTH, but no password is set",
            "auth.not_configured",
        ),
        ("-ERR unknown command 'AUTH'", "auth.not_configured"),
    ] {
        assert_eq!(
            cause("redis://:Plover-4417@10.0.3.17", &login(answer)),
            Some(expected)
        );
    }
}

#[test]
fn a_user_whose_password_is_given_separately_is_not_suspect() {
    let target =
        target("redis://ada@10.0.3.17").with_password(Some(crate::secret::Secret::new("Plover-4417")));
    let seen = Observations {
        login: Some(reply("+OK")),
        ping: Some(reply("+PONG")),
        ..connected()
    };
    let warned: Vec<Cause> = judge(&target, &seen)
        .warnings
        .iter()
        .map(|warning| warning.cause)
        .collect();
    assert_eq!(warned, [Cause::AuthPlaintext]);
}
