//! Tests that `ping` distinguishes causes that look alike, on real servers and sockets.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;
use support::golden::assert_golden_at;
use support::{Authority, Certificate, Home, RedisServer, Stunnel, listener};

fn ping(arguments: &[&str]) -> Value {
    let finished = Home::new()
        .sessiontut(["ping", "--json", "--timeout", "3"])
        .args(arguments)
        .run();
    finished.json()
}

#[test]
fn a_trusted_self_signed_certificate_may_be_a_ca_but_must_match_the_name() {
    let own = Certificate::signed_by_itself(&["127.0.0.1"]);
    let redis = RedisServer::with().tls(&own).start();
    let ca = own.authority();
    let ca = ca.to_str().unwrap();
    assert_eq!(ping(&[&redis.url(), "--ca", ca])["ok"], true);
    let answer = ping(&[&redis.url()]);
    assert_eq!(answer["cause"], "tls.untrusted");
    assert_eq!(answer["fixes"][0]["kind"], "ca", "{answer:#}");
    let elsewhere = ping(&[&redis.url(), "--ca", ca, "--tls-name", "cache.example"]);
    assert_eq!(elsewhere["cause"], "tls.name_mismatch");
}

#[test]
fn a_client_only_certificate_from_a_trusted_ca_needs_reissuing() {
    let authority = Authority::new();
    let redis = RedisServer::with()
        .tls(&authority.issue_for_a_client(&["127.0.0.1"]))
        .start();
    let ca = authority.ca();
    let answer = ping(&[&redis.url(), "--ca", ca.to_str().unwrap()]);
    assert_eq!(answer["cause"], "tls.untrusted", "{answer:#}");
    assert_eq!(answer["fixes"][0]["kind"], "certificate", "{answer:#}");
}

#[test]
fn a_server_that_replies_only_to_a_client_hello_is_not_redis() {
    let port = listener::serve(|mut stream, _| {
        let mut heard = [0; 512];
        if stream.read(&mut heard).is_ok_and(|length| length > 100) {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        }
        while stream.read(&mut heard).is_ok_and(|length| length > 0) {}
    });
    let answer = ping(&[&format!("rediss://127.0.0.1:{port}")]);
    assert_eq!(answer["cause"], "proto.not_redis", "{answer:#}");
}

#[test]
fn maxclients_is_reported_although_a_tls_proxy_lost_the_error_once() {
    static VISITS: AtomicUsize = AtomicUsize::new(0);
    let port = listener::serve(|mut stream, _| {
        let mut heard = [0; 512];
        if VISITS.fetch_add(1, Ordering::Relaxed) == 0 {
            let _ = stream.read(&mut heard);
            return;
        }
        stream
            .write_all(b"-ERR max number of clients reached\r\n")
            .unwrap();
        while stream.read(&mut heard).is_ok_and(|length| length > 0) {}
    });
    let certificate = Certificate::for_loopback();
    let proxy = Stunnel::in_front_of(port, &certificate);
    let ca = certificate.authority();
    let answer = ping(&[&proxy.url(), "--ca", ca.to_str().unwrap()]);
    assert_eq!(answer["cause"], "server.max_clients", "{answer:#}");
}

#[test]
fn a_host_without_any_root_ca_still_distinguishes_tls_from_plain_text() {
    let certificate = Certificate::for_loopback();
    let secure = RedisServer::with().tls(&certificate).start();
    let plain = RedisServer::start();
    let bare = |arguments: &[&str]| {
        Home::new()
            .sessiontut(["ping", "--json", "--timeout", "3"])
            .args(arguments)
            .env("SSL_CERT_FILE", "/nonexistent")
            .env("SSL_CERT_DIR", "/nonexistent")
            .run()
            .json()
    };
    let answer = bare(&[&secure.url()]);
    assert_eq!(answer["cause"], "tls.untrusted", "{answer:#}");
    assert!(
        answer["evidence"].to_string().contains("SSL_CERT_FILE"),
        "{answer:#}"
    );
    let ca = certificate.authority();
    assert_eq!(bare(&[&secure.url(), "--ca", ca.to_str().unwrap()])["ok"], true);
    let answer = bare(&[&format!("rediss://127.0.0.1:{}", plain.port())]);
    assert_eq!(answer["cause"], "tls.not_offered", "{answer:#}");
}

#[test]
fn a_server_that_answers_only_ping_is_not_ok() {
    let port = listener::serve(|mut stream, _| {
        let mut heard = [0; 512];
        while let Ok(length @ 1..) = stream.read(&mut heard) {
            if !heard[..length].windows(4).any(|word| word == b"PING") {
                return;
            }
            stream.write_all(b"+PONG\r\n").unwrap();
        }
    });
    assert_eq!(
        ping(&[&format!("redis://127.0.0.1:{port}")])["cause"],
        "proxy.no_backend"
    );
    assert_eq!(
        ping(&[&format!("redis://127.0.0.1:{port}/2")])["cause"],
        "proto.closed"
    );
}

#[test]
fn a_server_that_resets_every_connection_is_not_a_closed_port() {
    let port = listener::serve(|stream, _| {
        socket2::SockRef::from(&stream)
            .set_linger(Some(std::time::Duration::ZERO))
            .unwrap();
    });
    // The reset may arrive before or after the first read. The cause must be the same in both cases.
    for _ in 0..20 {
        let answer = ping(&[&format!("redis://127.0.0.1:{port}")]);
        assert_eq!(answer["cause"], "proto.closed", "{answer:#}");
    }
}

#[test]
fn a_plain_url_with_the_name_of_a_tls_endpoint_gets_a_hint_first() {
    let url = "redis://master.shop.x1y2z3.usw2.cache.amazonaws.com";
    let finished = Home::new().sessiontut(["ping", url, "--timeout", "0.5"]).run();
    let lines: Vec<_> = finished.stdout.lines().take(2).collect();
    assert!(lines[0].starts_with("[ok] url "), "{}", finished.stdout);
    assert!(lines[1].starts_with("[! ] url "), "{}", finished.stdout);
}

#[test]
fn a_full_accept_queue_on_this_host_does_not_suggest_security_groups() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    // Calling `listen` again shortens the queue to a single place, which the first connection occupies.
    socket2::SockRef::from(&listener).listen(0).unwrap();
    let queued: Vec<socket2::Socket> = (0..4)
        .map(|_| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address.into());
            socket
        })
        .collect();
    let answer = ping(&[&format!("redis://{address}")]);
    drop(queued);
    assert_eq!(answer["cause"], "tcp.timeout", "{answer:#}");
    assert_eq!(answer["fixes"][0]["kind"], "accept-queue");
    assert!(!answer.to_string().contains("security-group"));
}

#[test]
fn an_incomplete_handshake_is_stalled() {
    let port = listener::serve(|mut stream, _| {
        let mut heard = [0; 512];
        // These are only the first bytes of a ServerHello.
        if stream.read(&mut heard).is_ok_and(|length| length > 0) {
            stream.write_all(b"\x16\x03\x03\x00\x7a\x02\x00").unwrap();
        }
        while stream.read(&mut heard).is_ok_and(|length| length > 0) {}
    });
    let answer = ping(&[&format!("rediss://127.0.0.1:{port}")]);
    assert_eq!(answer["cause"], "tls.stalled", "{answer:#}");
}

/// Starts a server with one user who has these ACL rules. Returns the server, and the URL to log in as this
/// user.
fn server_of_a_user(rules: &str, lines: &[&str]) -> (RedisServer, String) {
    let settings = lines
        .iter()
        .fold(RedisServer::with(), |settings, line| settings.line(line));
    let server = settings.line(&format!("user ada on >Xyzzy-9021 {rules}")).start();
    let url = format!("redis://ada:Xyzzy-9021@127.0.0.1:{}", server.port());
    (server, url)
}

#[test]
fn a_user_with_only_the_tutorials_permissions_is_ok() {
    let rules = "~sessiontut:* -@all +hset +hincrby +expire +hgetall +del +multi +exec";
    let (_server, url) = server_of_a_user(rules, &[]);
    for options in [&[][..], &["--write-check"]] {
        let answer = ping(&[&[url.as_str()], options].concat());
        assert_eq!(answer["ok"], true, "{answer:#}");
        assert!(answer["rtt_ms"]["samples"].as_u64() >= Some(5), "{answer:#}");
    }
}

#[test]
fn the_command_for_missing_permissions_grants_them_and_no_others() {
    for rules in [
        "-@all",
        "~* -@all",
        "~* +@read",
        "~app:* +@all -flushall -acl",
        "%R~sessiontut:* +@all -flushall -acl",
        "~* +@all -exec -flushall -acl",
        "~app:* +@all -expire -flushall -acl",
    ] {
        let (server, url) = server_of_a_user(rules, &[]);
        let answer = ping(&[&url, "--write-check"]);
        assert_eq!(answer["cause"], "auth.no_permission", "{rules}: {answer:#}");
        let command = answer["fixes"][0]["command"].as_str().unwrap();
        std::process::Command::new("sh")
            .args(["-c", command])
            .output()
            .unwrap();
        let answer = ping(&[&url, "--write-check"]);
        assert_eq!(answer["ok"], true, "{rules}: {command}: {answer:#}");
        for forbidden in [&["FLUSHALL"][..], &["ACL", "LIST"], &["HSET", "other", "a", "b"]] {
            // Users with ~* could access other keys before the fix, so they still can.
            if forbidden[0] == "HSET" && rules.contains("~*") {
                continue;
            }
            let reply = server.ask(&[&["ACL", "DRYRUN", "ada"], forbidden].concat());
            assert_ne!(reply, redis::Value::Okay, "{rules}: {forbidden:?}");
        }
    }
}

#[test]
fn an_unknown_error_reply_is_a_refusal_and_is_quoted() {
    for (reply, kind) in [
        (
            "-ERR max daily request limit exceeded. Limit: 10000, Usage: 10000.",
            "quota",
        ),
        (
            "-DENIED client address 203.0.113.9 is not on the allow list",
            "allowlist",
        ),
        ("-MAINTENANCE until 04:00", "operator"),
    ] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                while stream.read(&mut [0; 512]).is_ok_and(|length| length > 0) {
                    let _ = stream.write_all(format!("{reply}\r\n").as_bytes());
                }
            }
        });
        let answer = ping(&[&format!("redis://127.0.0.1:{port}")]);
        assert_eq!(answer["cause"], "server.refused", "{answer:#}");
        assert!(
            answer["summary"].as_str().unwrap().contains(&reply[1..]),
            "{answer:#}"
        );
        assert_eq!(answer["fixes"][0]["kind"], kind, "{answer:#}");
    }
}

#[test]
fn limits_of_the_server_are_warnings() {
    for (line, code) in [
        ("timeout 300", "server.timeout"),
        ("min-replicas-to-write 1", "server.no_replicas"),
        ("rename-command HELLO \"\"", "server.old"),
    ] {
        let server = RedisServer::with().line(line).start();
        let answer = ping(&[&server.url()]);
        assert_eq!(answer["ok"], true, "{answer:#}");
        assert_eq!(answer["warnings"][0]["code"], code, "{answer:#}");
        assert_eq!(answer["warnings"][1], Value::Null, "{answer:#}");
    }
}

#[test]
fn a_database_out_of_range_is_found_if_ping_is_forbidden() {
    let (_server, url) = server_of_a_user("~* +@all -ping", &[]);
    assert_eq!(ping(&[&format!("{url}/99")])["cause"], "db.index");
}

#[test]
fn the_reply_to_hello_shows_the_role_if_info_is_forbidden() {
    let lines = ["replicaof 127.0.0.1 1"];
    let (_server, url) = server_of_a_user("~* +@all -info -role", &lines);
    let answer = ping(&[&url]);
    assert_eq!(answer["warnings"][0]["code"], "role.replica", "{answer:#}");
    assert_eq!(answer["server"]["role"], "slave");
    assert!(answer["server"]["version"].is_string());
}

#[test]
fn a_user_without_a_password_logs_in_by_name() {
    let server = RedisServer::with()
        .line("user default off")
        .line("user ada on nopass ~* +@all")
        .start();
    let answer = ping(&[&format!("redis://ada@127.0.0.1:{}", server.port())]);
    assert_eq!(answer["ok"], true, "{answer:#}");
    let answer = ping(&[&format!("redis://eve@127.0.0.1:{}", server.port())]);
    assert_eq!(answer["cause"], "auth.required", "{answer:#}");
}

#[test]
fn a_banner_that_begins_like_resp_is_recognised_at_once() {
    let port = listener::serve(|mut stream, _| {
        stream.write_all(b"_\0\0\0\n8.0.32-0ubuntu0.22.04.2\0").unwrap();
        while stream.read(&mut [0; 512]).is_ok_and(|length| length > 0) {}
    });
    for scheme in ["redis", "rediss"] {
        let answer = ping(&[&format!("{scheme}://127.0.0.1:{port}")]);
        assert_eq!(answer["cause"], "proto.not_redis", "{answer:#}");
    }
}

#[test]
fn an_echo_server_is_neither_tls_nor_redis() {
    let port = listener::serve(|mut stream, _| {
        let mut heard = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut heard) {
            if stream.write_all(&heard[..length]).is_err() {
                return;
            }
        }
    });
    for scheme in ["redis", "rediss"] {
        let answer = ping(&[&format!("{scheme}://127.0.0.1:{port}")]);
        assert_eq!(answer["cause"], "proto.not_redis", "{answer:#}");
    }
}

#[test]
fn a_path_that_is_not_a_listening_unix_socket_is_refused() {
    let home = Home::new();
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let datagrams = home.path().join("datagrams");
    let _socket = std::os::unix::net::UnixDatagram::bind(&datagrams).unwrap();
    for path in [&file, &file.join("redis.sock"), &datagrams] {
        let answer = ping(&[&format!("unix://{}", path.display())]);
        assert_eq!(answer["cause"], "tcp.refused", "{answer:#}");
    }
    let long = "a/".repeat(60);
    assert_eq!(
        ping(&[&format!("unix:///{long}redis.sock")])["cause"],
        "url.invalid"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_server_on_another_address_of_this_host_is_named() {
    let redis = RedisServer::start();
    let url = redis.url().replace("127.0.0.1", "127.0.0.2");
    let answer = ping(&[&url]);
    assert_eq!(answer["cause"], "tcp.refused");
    assert_eq!(answer["fixes"][0]["kind"], "bind", "{answer:#}");
    let summary = answer["summary"].as_str().unwrap();
    assert!(
        summary.contains("redis-server") && summary.contains("127.0.0.1"),
        "{summary}"
    );
}

#[test]
fn the_wording_of_the_table_of_all_codes_in_the_documentation() {
    let listed = Home::new().sessiontut(["ping", "--codes"]).run().stdout;
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        let (code, exit) = (words.next().unwrap(), words.next().unwrap());
        let meaning: Vec<&str> = words.collect();
        format!("| [`{code}`]({code}.md) | {exit} | {} |", meaning.join(" "))
    };
    let expected: Vec<String> = listed.lines().skip(1).map(row).collect();
    assert!(expected.len() > 40, "{listed}");
    let path = "docs/src/causes/index.md";
    let page = std::fs::read_to_string(path).unwrap();
    let (start, rest) = page.split_once("| --- |\n").unwrap();
    let (_, end) = rest.split_once("<!-- /causes -->").unwrap();
    let rows = expected.join("\n");
    assert_golden_at(path, &format!("{start}| --- |\n{rows}\n<!-- /causes -->{end}"));
    let contents = include_str!("../docs/src/SUMMARY.md");
    for code in listed
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
    {
        assert!(
            contents.contains(&format!("[{code}](causes/{code}.md)")),
            "{code} is not in SUMMARY.md"
        );
    }
}

#[test]
fn insecure_continues_without_the_password_and_the_saved_certificates_can_be_trusted() {
    let server = RedisServer::with()
        .tls(&Certificate::for_loopback())
        .password("Plover-4417")
        .start();
    let home = Home::new();
    let (saved, url) = (home.path().join("saved.pem"), server.url());
    let saved = saved.to_str().unwrap();
    let run = |options: &[&str]| home.run([&["ping", "--json", &url][..], options].concat());
    let withheld = run(&["--insecure", "--save-ca", saved]).expect(5).json();
    assert_eq!(withheld["cause"], "tls.untrusted", "{withheld:#}");
    assert!(withheld["server"]["role"].is_null(), "{withheld:#}");
    let sent = run(&["--insecure", "--insecure-auth"]).expect(5).json();
    assert_eq!(sent["cause"], "tls.untrusted", "{sent:#}");
    assert_eq!(sent["server"]["role"], "master", "{sent:#}");
    let trusted = run(&["--ca", saved]).expect(0).json();
    assert_eq!(trusted["ok"], true);
}

#[test]
fn a_trusted_ca_that_has_expired_is_reported_because_other_clients_check_its_date() {
    let authority = Authority::expired();
    let server = RedisServer::with().tls(&authority.issue(&["127.0.0.1"])).start();
    let ca = authority.ca();
    let answer = Home::new()
        .run(["ping", "--json", &server.url(), "--ca", ca.to_str().unwrap()])
        .expect(5)
        .json();
    assert_eq!(answer["cause"], "tls.expired", "{answer:#}");
}

#[test]
fn a_long_info_reply_is_no_reason_for_a_warning() {
    let server = RedisServer::with().line("databases 2600").start();
    let mut pipe = redis::pipe();
    for db in 0..2600 {
        pipe.cmd("SELECT").arg(db).ignore();
        pipe.cmd("SET").arg("key").arg(1).ignore();
    }
    pipe.exec(&mut server.connection()).unwrap();
    let answer = ping(&[&server.url()]);
    assert_eq!(answer["warnings"], Value::Array(Vec::new()), "{answer:#}");
    assert_eq!(answer["server"]["role"], "master", "{answer:#}");
}
