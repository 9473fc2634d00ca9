//! Checks the verdicts on responses to AUTH, SELECT, PING, and the read request that replaces PING.

use std::collections::HashSet;
use std::time::Duration;

use redis::Value;

use super::situations::second_look;
use super::{cause, connected, dial, handshake, reply, target};
use crate::os::PacketCounts;
use crate::ping::causes::Cause;
use crate::ping::observation::{
    DialResult, Echo, Exchange, Experiment, Followed, HostsEntry, Lookup, NameAnswer, NameServer,
    NamedPrimary, Observations, Repeat, SentinelAnswer, TlsResult,
};
use crate::ping::response::Response;
use crate::ping::verdict::{Certainty, judge};
use crate::redis_url::Target;
use crate::secret::Secret;

#[test]
fn each_answer_to_ping_has_its_cause() {
    for (answer, expected) in [
        ("-NOAUTH Authentication required.", "auth.required"),
        (
            "-NOPERM this user has no permissions to run the 'ping' command",
            "auth.no_permission",
        ),
        (
            "-DENIED Redis is running in protected mode",
            "server.protected_mode",
        ),
        (
            "-LOADING Redis is loading the dataset in memory",
            "server.loading",
        ),
        ("-BUSY Redis is busy running a script", "server.busy"),
        (
            "-MISCONF Redis is configured to save RDB snapshots",
            "server.misconf",
        ),
        ("-MASTERDOWN Link with MASTER is down", "role.master_down"),
        ("-ERR max number of clients reached", "server.max_clients"),
        ("-ERR operation not permitted", "auth.required"),
        ("+OK POP3 server ready", "proto.not_redis"),
        ("*1\r\n$4\r\nPING\r\n", "proto.not_redis"),
        ("+QUEUED", "proto.unexpected"),
        ("*2\r\n$4\r\npong\r\n$0\r\n", "proto.unexpected"),
        ("$-1", "proto.unexpected"),
        (":1", "proto.unexpected"),
    ] {
        let seen = connected().with(|seen| seen.ping.response = Some(reply(answer)));
        assert_eq!(cause("redis://10.0.3.17", &seen), Some(expected), "{answer}");
    }
}

#[test]
fn a_server_that_requires_a_login_after_all_is_not_said_to_need_none() {
    let unknown = "-ERR unknown command 'AUTH'";
    let none = "-ERR Client sent AUTH, but no password is set";
    let required = "-NOAUTH Authentication required.";
    for (answer, read, expected) in [
        (none, "*0", "auth.not_configured"),
        (none, required, "proxy.no_backend"),
        (unknown, "*0", "auth.not_configured"),
        (unknown, required, "server.refused"),
    ] {
        let seen = connected().with(|seen| {
            seen.auth.response = Some(reply(answer));
            seen.auth.read_without_login = Some(reply(read));
        });
        let found = cause("redis://:Plover-4417@10.0.3.17", &seen);
        assert_eq!(found, Some(expected), "{answer} {read}");
    }
}

#[test]
fn a_connection_that_ends_in_the_middle_of_a_reply_does_not_work() {
    let stopped = |received: &[u8]| {
        let exchange = |command, response| Exchange { command, response };
        connected().with(|seen| {
            seen.ping.response = Some(reply("+PONG"));
            seen.requests.read = Some(reply("*0"));
            let last = exchange("ECHO", Response::Closed(received.to_vec()));
            seen.requests.stopped_at = Some(last.clone());
            let exchanges = vec![
                exchange("PING", reply("+PONG")),
                exchange("HGETALL", reply("*0")),
                last,
            ];
            seen.experiments.repeat = Some(Repeat { exchanges });
        })
    };
    assert_eq!(cause("redis://10.0.3.17", &stopped(b"")), None);
    assert_eq!(
        cause("redis://10.0.3.17", &stopped(b"$4096\r\nab")),
        Some("proto.closed")
    );
}

#[test]
fn a_name_says_nothing_about_tls_if_the_server_has_replied() {
    let says_tls = |seen: &Observations| {
        let host = "rediss://:p@shop.x1y2z3.ng.0001.euw1.cache.amazonaws.com";
        let finding = judge(&target(host), seen).finding.unwrap();
        finding.evidence.iter().any(|fact| fact.contains("without TLS"))
    };
    let refused = connected().with(|seen| seen.auth.response = Some(reply("-WRONGPASS no")));
    assert!(!says_tls(&refused));
    assert!(says_tls(&Observations::default().with(|seen| {
        seen.tcp.dials = vec![dial(DialResult::Refused)];
    })));
}

#[test]
fn each_response_without_a_reply_has_its_cause() {
    for (heard, expected) in [
        (Response::Timeout(vec![]), "server.silent"),
        (Response::Timeout(b"+PO".to_vec()), "server.silent"),
        (Response::Closed(vec![]), "proto.closed"),
        (Response::Reset(b"$5\r\nhe".to_vec()), "proto.closed"),
        (
            Response::NotResp(b"HTTP/1.1 400 Bad Request".to_vec()),
            "proto.not_redis",
        ),
        (
            Response::Alert(rustls::AlertDescription::CertificateRequired),
            "tls.client_cert",
        ),
    ] {
        let seen = connected().with(|seen| seen.ping.response = Some(heard.clone()));
        assert_eq!(cause("redis://10.0.3.17", &seen), Some(expected), "{heard:?}");
    }
}

#[test]
fn a_port_that_is_not_for_clients_adds_a_fact_to_the_evidence() {
    let facts = |url: &str| {
        let seen = connected().with(|seen| seen.ping.response = Some(Response::Closed(vec![])));
        judge(&target(url), &seen).finding.unwrap().evidence.len()
    };
    let usual = facts("redis://10.0.3.17:6379");
    assert_eq!(facts("redis://10.0.3.17:16379"), usual + 1);
    assert_eq!(facts("redis://10.0.3.17:26379"), usual + 1);
}

#[test]
fn a_run_that_ended_before_ping_is_never_ok() {
    assert_eq!(cause("redis://10.0.3.17", &connected()), Some("server.silent"));
    assert_eq!(cause("rediss://10.0.3.17", &connected()), Some("server.silent"));
}

#[test]
fn a_forbidden_ping_is_ok_if_another_command_works() {
    let seen = connected().with(|seen| {
        seen.ping.response = Some(reply("-NOPERM no"));
        seen.requests.read = Some(reply("-NOPERM no permissions to access a key"));
        seen.requests.echo = Some(Echo::Same);
    });
    assert_eq!(cause("redis://10.0.3.17", &seen), None);
}

#[test]
fn lost_packets_are_distinguished_from_a_stuck_process() {
    let mut facts = HashSet::new();
    for (unacknowledged, out_of_order, first_fix) in [(0, 0, "server"), (2, 0, "firewall"), (0, 1, "server")]
    {
        let seen = connected().with(|seen| {
            seen.ping.response = Some(Response::Timeout(vec![]));
            seen.packets = Some(PacketCounts {
                unacknowledged,
                out_of_order,
                ..PacketCounts::default()
            });
        });
        let finding = judge(&target("redis://10.0.3.17"), &seen).finding.unwrap();
        assert_eq!(finding.cause, Cause::ServerSilent);
        assert_eq!(finding.fixes[0].kind, first_fix);
        assert!(
            facts.insert(finding.evidence),
            "the same evidence for another fate of the packets"
        );
    }
}

#[test]
fn data_that_this_host_cannot_send_says_nothing_about_the_server() {
    let unsent = Some(PacketCounts {
        unsent_bytes: 14,
        ..PacketCounts::default()
    });
    let silent = connected().with(|seen| {
        seen.ping.response = Some(Response::Timeout(vec![]));
        seen.packets = unsent;
    });
    let stalled = handshake(TlsResult::TimedOut, Some(Response::Timeout(vec![])), None)
        .with(|seen| seen.tls.handshake.as_mut().unwrap().packets = unsent);
    for (url, seen) in [("redis://10.0.3.17", silent), ("rediss://10.0.3.17", stalled)] {
        let finding = judge(&target(url), &seen).finding.unwrap();
        assert_eq!(finding.cause, Cause::ServerSilent);
        assert_eq!(finding.certainty, Certainty::Likely);
        assert_eq!(finding.fixes[0].kind, "local-firewall");
    }
}

#[test]
fn a_read_shows_why_no_command_is_served_if_ping_is_forbidden() {
    let refused = |ping: &str, read: &str| {
        let seen = connected().with(|seen| {
            seen.ping.response = Some(reply(ping));
            seen.requests.read = Some(reply(read));
        });
        cause("redis://10.0.3.17", &seen)
    };
    let renamed = "-ERR unknown command 'PING'";
    assert_eq!(
        refused(renamed, "-NOAUTH Authentication required."),
        Some("auth.required")
    );
    assert_eq!(
        refused("-NOPERM ping", "-LOADING Redis is loading"),
        Some("server.loading")
    );
    assert_eq!(
        refused("-NOPERM ping", "-NOPERM hgetall"),
        Some("auth.no_permission")
    );
    assert_eq!(refused("-NOPERM ping", "-MOVED 7 10.0.3.18:6379"), None);
    assert_eq!(refused(renamed, "*0"), None);
}

#[test]
fn a_pop3_server_is_not_redis() {
    let seen = connected().with(|seen| seen.auth.response = Some(reply("+OK POP3 server ready")));
    assert_eq!(cause("redis://:p@10.0.3.17", &seen), Some("proto.not_redis"));
    let mut seen = connected().with(|seen| seen.ping.response = Some(reply("+OK POP3 server ready")));
    seen.ping.surplus_reply = Some(reply("-ERR Unknown command."));
    assert_eq!(cause("redis://10.0.3.17", &seen), Some("proto.not_redis"));
    let greeted = handshake(TlsResult::NotTls, Some(reply("+OK POP3 server ready")), None);
    assert_eq!(cause("rediss://cache.example", &greeted), Some("proto.not_redis"));
}

#[test]
fn a_server_that_always_replies_pong_sends_unexpected_replies() {
    let mut seen = connected().with(|seen| seen.ping.response = Some(reply("+PONG")));
    seen.server.role = Some(Value::SimpleString("PONG".into()));
    assert_eq!(cause("redis://10.0.3.17", &seen), Some("proto.unexpected"));
}

#[test]
fn a_cause_is_only_likely_if_there_was_no_time_for_an_experiment() {
    let certainty = |seen: &Observations| {
        judge(&target("redis://10.0.3.17"), seen)
            .finding
            .unwrap()
            .certainty
    };
    let hello = |result| {
        connected().with(|seen| {
            seen.ping.response = Some(Response::Reset(vec![]));
            seen.experiments.other_protocol = Some(Experiment::ClientHello { result, inside: None });
        })
    };
    assert_eq!(certainty(&hello(TlsResult::TimedOut)), Certainty::Likely);
    assert_eq!(certainty(&hello(TlsResult::Closed)), Certainty::Proved);
    let silent = |connecting| {
        connected().with(|seen| {
            seen.tcp.took = Duration::from_millis(connecting);
            seen.ping.response = Some(Response::Timeout(vec![]));
            seen.ping.took = Duration::from_secs(1);
        })
    };
    assert_eq!(certainty(&silent(800)), Certainty::Likely);
    assert_eq!(certainty(&silent(1)), Certainty::Proved);
    let again = |response| {
        silent(1).with(|seen| {
            let exchanges = vec![Exchange {
                command: "PING",
                response,
            }];
            seen.experiments.repeat = Some(Repeat { exchanges });
        })
    };
    assert_eq!(certainty(&again(Response::Timeout(vec![]))), Certainty::Proved);
    assert_eq!(certainty(&again(Response::Closed(vec![]))), Certainty::Likely);
}

#[test]
fn commands_address_the_same_server_and_contain_no_password() {
    let command = |url: &str, seen: Observations| {
        let finding = judge(&target(url), &seen).finding.unwrap();
        let lines = finding.fixes.into_iter().filter_map(|fix| fix.command);
        lines.collect::<Vec<_>>().join("\n")
    };
    let said = |answer: &str| connected().with(|seen| seen.ping.response = Some(reply(answer)));
    let busy = "-BUSY Redis is busy running a script";
    assert_eq!(
        command("redis://10.0.3.17:6380", said(busy)),
        "redis-cli -h 10.0.3.17 -p 6380 SCRIPT KILL"
    );
    assert_eq!(
        command("redis://ada:Plover-4417@cache.example", said(busy)),
        "redis-cli -h cache.example -p 6379 --user ada --askpass SCRIPT KILL"
    );
    assert_eq!(
        command("unix:///run/my%20redis.sock", said(busy)),
        "redis-cli -s '/run/my redis.sock' SCRIPT KILL"
    );
    let plain = handshake(TlsResult::TimedOut, None, None)
        .with(|seen| seen.experiments.other_protocol = Some(Experiment::PlainPing(reply("+PONG"))));
    assert_eq!(
        command("rediss://ada:Plover-4417@cache.example:6380/3", plain),
        "REDISCLI_AUTH=$(trap '' TSTP; trap 'stty echo; echo >&2' EXIT; trap 'exit 1' HUP INT TERM; stty -echo; \
         printf 'Password: ' >&2; IFS= read -r word; printf %s \"$word\"; [ -n \"$word\" ]) && export REDISCLI_AUTH && sessiontut ping redis://ada@cache.example:6380/3"
    );
    // `ip route get` does not resolve names.
    let silent =
        Observations::default().with(|seen| seen.tcp.dials = vec![dial(DialResult::Other("unusual".into()))]);
    assert_eq!(command("redis://cache.example", silent), "ip route get 10.0.3.17");
}

#[test]
fn each_answer_to_auth_and_select_has_its_cause() {
    let login = |answer: &str| connected().with(|seen| seen.auth.response = Some(reply(answer)));
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
        (reply("-ERR unknown command 'SELECT'"), Some("server.refused")),
        (
            reply("-ERR SELECT is not allowed in cluster mode"),
            Some("db.index"),
        ),
        (Response::Closed(vec![]), Some("proto.closed")),
        (Response::Timeout(vec![]), Some("server.silent")),
        (reply("+OK"), None),
    ] {
        let seen = login("+OK").with(|seen| {
            seen.ping.response = Some(reply("+PONG"));
            seen.requests.select = Some(answer.clone());
        });
        assert_eq!(cause(url, &seen), expected, "{answer:?}");
    }
}

/// Returns the first command to paste.
fn first_command(target: &Target, seen: &Observations) -> String {
    let finding = judge(target, seen).finding.unwrap();
    finding.fixes.into_iter().find_map(|fix| fix.command).unwrap()
}

#[test]
fn a_command_without_the_password_removes_its_variable_too() {
    let unset = "-ERR AUTH <password> called without any password configured for the default user.";
    let seen = connected().with(|seen| seen.auth.response = Some(reply(unset)));
    let stale = target("redis://10.0.3.17").with_password(Some(Secret::new("Plover-4417")));
    let without = "sessiontut ping redis://10.0.3.17:6379/0";
    assert_eq!(
        first_command(&stale, &seen),
        format!("unset REDISCLI_AUTH; {without}")
    );
    assert_eq!(
        first_command(&target("redis://:Plover-4417@10.0.3.17"), &seen),
        without
    );
}

#[test]
fn a_command_with_another_database_keeps_the_sentinels() {
    let url = target("redis+sentinel://10.0.3.17/shop/99");
    let primary = NamedPrimary::new("shop", "10.0.3.18", "6379").unwrap();
    let seen = connected().with(|seen| {
        seen.ping.response = Some(reply("+PONG"));
        seen.requests.select = Some(reply("-ERR DB index is out of range"));
        seen.followed = Some(Followed {
            sentinel: "10.0.3.17:26379".into(),
            name: "shop".into(),
            target: url.of_primary("10.0.3.18", 6379),
            answer: SentinelAnswer::Primary(primary),
        });
    });
    assert_eq!(
        first_command(&url, &seen),
        "sessiontut ping 'redis+sentinel://10.0.3.17:26379/shop/0'"
    );
}

#[test]
fn the_code_of_an_error_reply_is_not_masked() {
    let seen = connected().with(|seen| {
        let response = reply("-WRONGPASS invalid username-password pair, not wrongpw");
        seen.auth.response = Some(response);
    });
    let finding = judge(&target("redis://:wrongpw@10.0.3.17"), &seen)
        .finding
        .unwrap();
    let shown = finding.reply.unwrap();
    assert!(shown.starts_with("WRONGPASS "), "{shown}");
    assert!(!shown.contains("wrongpw"), "{shown}");
}

#[test]
fn a_server_before_redis_6_rejects_the_user_name_not_the_password() {
    let login = |answer: &str| connected().with(|seen| seen.auth.response = Some(reply(answer)));
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
    let seen = connected().with(|seen| {
        seen.auth.response = Some(reply("+OK"));
        seen.ping.response = Some(reply("+PONG"));
    });
    let warned: Vec<Cause> = judge(&target, &seen)
        .warnings
        .iter()
        .map(|warning| warning.cause)
        .collect();
    assert_eq!(warned, [Cause::AuthPlaintext]);
}

fn kinds(url: &str, seen: &Observations) -> Vec<&'static str> {
    let finding = judge(&target(url), seen).finding.unwrap();
    finding.fixes.iter().map(|fix| fix.kind).collect()
}

#[test]
fn a_wait_of_a_few_round_trips_blames_neither_packets_nor_the_path() {
    let unacknowledged = PacketCounts {
        unacknowledged: 2,
        ..PacketCounts::default()
    };
    let silent = |milliseconds| {
        connected().with(|seen| {
            seen.ping.response = Some(Response::Timeout(vec![]));
            seen.ping.took = Duration::from_secs(2);
            seen.packets = Some(unacknowledged);
            seen.tcp.took = Duration::from_millis(milliseconds);
        })
    };
    let stalled = |milliseconds| {
        handshake(TlsResult::TimedOut, None, None).with(|seen| {
            seen.tls.handshake.as_mut().unwrap().packets = Some(unacknowledged);
            seen.tcp.took = Duration::from_millis(milliseconds);
        })
    };
    assert_eq!(kinds("redis://10.0.3.17", &silent(2))[0], "firewall");
    assert_eq!(kinds("rediss://10.0.3.17", &stalled(2))[0], "firewall");
    for kinds in [
        kinds("redis://10.0.3.17", &silent(1200)),
        kinds("rediss://10.0.3.17", &stalled(1200)),
    ] {
        assert_eq!(kinds[0], "timeout");
        assert!(
            !kinds.contains(&"firewall") && !kinds.contains(&"mtu"),
            "{kinds:?}"
        );
    }
}

#[test]
fn smaller_packets_are_suggested_only_if_they_were_not_tried_in_vain() {
    let stalled = |small| {
        handshake(TlsResult::TimedOut, None, None).with(|seen| seen.tls.small_packet_handshake = small)
    };
    let kinds = |small| kinds("rediss://10.0.3.17", &stalled(small));
    assert_eq!(kinds(Some(TlsResult::Established))[0], "mtu");
    assert!(!kinds(Some(TlsResult::TimedOut)).contains(&"mtu"));
}

#[test]
fn an_address_from_the_hosts_file_is_mentioned_whatever_is_wrong_with_the_server() {
    let seen = |elsewhere: &str| {
        connected().with(|seen| {
            seen.ping.response = Some(reply("-LOADING Redis is loading the dataset in memory"));
            let server = NameServer {
                address: "10.0.0.2:53".parse().unwrap(),
                answer: NameAnswer::Addresses(vec![elsewhere.parse().unwrap()]),
                silent_about: None,
                took: Duration::ZERO,
            };
            seen.dns = Some(Lookup {
                addresses: vec!["10.0.3.17".parse().unwrap()],
                hosts_file: Some(HostsEntry {
                    line: 2,
                    address: "10.0.3.17".parse().unwrap(),
                    is_shared: false,
                }),
                servers: vec![server],
                ..Lookup::default()
            });
        })
    };
    assert_eq!(
        kinds("redis://cache.example", &seen("10.0.3.18"))[0],
        "hosts-file"
    );
    // The name servers return the same address, so the entry is probably right.
    let same = kinds("redis://cache.example", &seen("10.0.3.17"));
    assert_eq!(
        same.iter().position(|kind| *kind == "hosts-file"),
        Some(same.len() - 1)
    );
}

#[test]
fn a_fault_of_one_of_several_servers_is_not_reported_as_that_of_all() {
    let summary = |replies: &[(&'static str, &str)]| {
        let seen = connected().with(|seen| {
            seen.ping.response = Some(reply("-NOAUTH Authentication required."));
            seen.experiments.second_look = Some(second_look("10.0.3.17:6379", replies));
        });
        let finding = judge(&target("redis://10.0.3.17"), &seen).finding.unwrap();
        assert_eq!(finding.cause, Cause::AuthRequired);
        (finding.fixes[0].kind, finding.summary)
    };
    let (kind, again) = summary(&[("PING", "-NOAUTH Authentication required.")]);
    assert_eq!(kind, "password");
    // A server that replies to PING may still refuse reads.
    let refused = [("PING", "+PONG"), ("HGETALL", "-NOAUTH Authentication required.")];
    assert_eq!(summary(&refused), (kind, again.clone()));
    let (kind, once) = summary(&[("PING", "+PONG"), ("HGETALL", "*0")]);
    assert_eq!(kind, "backend");
    assert_ne!(once, again);
}

#[test]
fn tls_is_only_likely_if_no_second_connection_could_be_made() {
    let untested = |mut seen: Observations| {
        let silence = DialResult::Timeout { syns: Some(2) };
        seen.experiments.other_protocol = Some(Experiment::NotConnected(silence));
        seen
    };
    let plain = untested(connected().with(|seen| seen.ping.response = Some(Response::Closed(vec![]))));
    let tls = untested(handshake(TlsResult::TimedOut, None, None));
    for (url, seen, code) in [
        ("redis://10.0.3.17", plain.clone(), "tls.required"),
        ("rediss://10.0.3.17", tls, "tls.not_offered"),
    ] {
        let finding = judge(&target(url), &seen).finding.unwrap();
        assert_eq!(
            (finding.cause.code(), finding.certainty),
            (code, Certainty::Likely)
        );
    }
    // Nothing listens any more, so the server may have failed.
    let mut refused = plain;
    refused.experiments.other_protocol = Some(Experiment::NotConnected(DialResult::Refused));
    assert_eq!(cause("redis://10.0.3.17", &refused), Some("proto.closed"));
}

#[test]
fn advice_names_the_variables_if_there_is_no_url() {
    let text = |variables: Option<&str>| {
        let mut target = target("rediss://h");
        target.variables = variables.map(str::to_owned);
        let seen = super::handshake(TlsResult::TimedOut, Some(reply("+PONG")), None);
        let finding = judge(&target, &seen).finding.unwrap();
        finding.fixes[0].text.clone()
    };
    assert!(text(None).contains("REDIS_URL"));
    let by_variables = text(Some("REDIS_HOST and REDIS_TLS"));
    assert!(by_variables.contains("REDIS_HOST and REDIS_TLS") && !by_variables.contains("REDIS_URL"));
}
