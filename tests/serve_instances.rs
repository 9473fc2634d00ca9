//! Tests that instances with the same Redis find each other, and that each instance prints the address to
//! open in a browser.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};

use support::wait::wait_for;
use support::{App, Home, RedisServer};

const SECRET: &[(&str, &str)] = &[("SECRET_KEY", "correct horse battery staple")];

#[test]
fn instances_with_one_secret_key_accept_each_others_cookies_and_others_do_not() {
    let server = RedisServer::start();
    let start = |key| App::start_in(Home::new(), Some(&server.url()), &["--stage", "2"], key);
    let (one, same) = (start(SECRET), start(SECRET));
    let other = start(&[("SECRET_KEY", "another key of sixteen bytes")]);
    let ada = one.logged_in("ada");
    ada.moved_to(same.port).get("/").says("Logged in as ada");
    let page = ada.moved_to(other.port).get("/").says("You are not logged in");
    page.says("SECRET_KEY");
}

#[test]
fn the_page_names_other_instances_and_forgets_those_that_stop() {
    let server = RedisServer::start();
    let one = App::at_stage(&server, "4");
    let other = App::at_stage(&server, "4");
    let link = format!("href=\"http://127.0.0.1:{}/\"", other.port);
    let key = format!("sessiontut:instance:127.0.0.1:{}", other.port);
    wait_for("a link to the other instance", || {
        one.visitor().get("/").body.contains(&link).then_some(())
    });
    let left = server.pttl(&key);
    assert!((1..=10_000).contains(&left), "{left}");
    other.stop().expect(0);
    assert!(!server.keys().contains(&key));
    wait_for("the link to go", || {
        (!one.visitor().get("/").body.contains(&link)).then_some(())
    });
}

#[test]
fn a_user_with_few_permissions_is_enough_for_the_app_and_other_instances() {
    let server = RedisServer::start();
    let permitted = "+hset +hincrby +hgetall +expire +del +multi +exec +pttl +hget +hdel";
    let mut rule = vec!["ACL", "SETUSER", "tut", "on", ">Plover-4417", "~sessiontut:*"];
    rule.extend(permitted.split(' '));
    server.ask(&rule);
    let url = server.url().replace("redis://", "redis://tut:Plover-4417@");
    let one = App::start(&url, &[]);
    let other = App::start(&url, &[]);
    let link = format!("href=\"http://127.0.0.1:{}/\"", other.port);
    wait_for("a link to the other instance", || {
        one.visitor().get("/").body.contains(&link).then_some(())
    });
    one.visitor().get("/healthz").expect(200);
    one.logged_in("ada").get("/").expect(200).says("Visits: 1");
    let finished = one.stop().expect(0);
    assert_eq!(finished.stderr, "");
}

#[test]
fn fake_instances_in_redis_do_not_become_links() {
    let server = RedisServer::start();
    let app = App::at_stage(&server, "4");
    for address in ["javascript:alert(1)", "<b>", "evil.example:80/\" onclick=x"] {
        server.ask(&[
            "SET",
            &format!("sessiontut:instance:{address}"),
            "stage 4",
            "EX",
            "60",
        ]);
        server.ask(&["HSET", "sessiontut:instances", address, "stage 4"]);
    }
    let other = App::start(&server.url(), &[]);
    let link = format!("href=\"http://127.0.0.1:{}/\"", other.port);
    let page = wait_for("a link to the real instance", || {
        let page = app.visitor().get("/");
        page.body.contains(&link).then_some(page)
    });
    for word in ["javascript:", "evil", "onclick"] {
        assert!(!page.body.contains(word), "{word}");
    }
}

#[test]
fn a_list_of_instances_over_1_mb_fails_no_visit_and_expires() {
    let server = RedisServer::start();
    let app = App::at_stage(&server, "4");
    let mut ada = app.logged_in("ada");
    let large = "x".repeat(1_100_000);
    server.ask(&["HSET", "sessiontut:instances", &large, "stage 4"]);
    server.ask(&["EXPIRE", "sessiontut:instances", "5"]);
    wait_for("the list to expire", || {
        ada.get("/").expect(200);
        let list = server.hash("sessiontut:instances");
        list.iter().all(|(address, _)| *address != large).then_some(())
    });
}

#[test]
fn an_instance_on_all_addresses_is_announced_under_a_reachable_one() {
    let server = RedisServer::start();
    let everywhere = Home::new();
    let mut running = everywhere
        .sessiontut(["serve", "--listen", "0.0.0.0:0"])
        .redis(&server.url())
        .start();
    let line = running.first_line();
    assert!(line.starts_with("open http://127.0.0.1:"), "{line}");
    let announced = wait_for("the announcement", || {
        let mut keys = server.keys().into_iter();
        keys.find(|key| key.starts_with("sessiontut:instance:"))
    });
    assert!(!announced.contains("0.0.0.0"), "{announced}");
    // Other clients may write addresses to this list. These must not become links to other hosts.
    server.ask(&["HSET", "sessiontut:instances", "0.0.0.0:81", "stage 4"]);
    server.ask(&["SET", "sessiontut:instance:0.0.0.0:81", "stage 4"]);
    let app = App::start(&server.url(), &[]);
    let page = wait_for("the other instance", || {
        let page = app.visitor().get("/").body;
        let url = announced.replace("sessiontut:instance:", "http://");
        page.contains(&url).then_some(page)
    });
    assert!(!page.contains("http://0.0.0.0"));
    running.terminate();
    running.finish().expect(0);
}

/// Starts a metadata service like that of an EC2 instance (IMDSv2, which requires a token). It runs until the process
/// exits.
fn metadata_service() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let has_token = head.contains("X-aws-ec2-metadata-token: the-token");
            let body = match head.split_whitespace().nth(1).unwrap() {
                "/latest/api/token" if head.starts_with("PUT ") => Some("the-token"),
                _ if !has_token => None,
                "/latest/meta-data/mac" => Some("0a:00:00:00:00:01"),
                "/latest/meta-data/placement/region" => Some("eu-central-1"),
                "/latest/meta-data/public-hostname" => Some("ec2-3-4-5-6.example.com"),
                path if path.ends_with("/security-group-ids") => Some("sg-0a1b2c"),
                _ => None,
            };
            let (status, body) = body.map_or(("401 Unauthorized", ""), |body| ("200 OK", body));
            let answer = format!(
                "HTTP/1.0 {status}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    format!("http://{address}/")
}

/// Starts stage 1 on a simulated EC2 instance, and returns its first line and its notes.
#[track_caller]
fn on_ec2(listen: &str) -> (String, String) {
    let service = metadata_service();
    // The service must reply within 150 ms, but a busy machine may be slower.
    wait_for("the metadata service to answer in time", || {
        let mut running = Home::new()
            .sessiontut(["serve", "--stage", "1", "--listen", listen])
            .env("AWS_EC2_METADATA_DISABLED", "false")
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &service)
            .env("USER", "ubuntu")
            .start();
        let line = running.first_line();
        running.terminate();
        let notes = running.finish().expect(0).stderr;
        notes.contains("instance").then_some((line, notes))
    })
}

/// Returns the port that follows `host` in a URL.
fn port_behind<'a>(host: &str, line: &'a str) -> &'a str {
    let (_, rest) = line.split_once(host).unwrap();
    rest.split('/').next().unwrap()
}

#[test]
fn on_ec2_it_names_the_public_address_and_the_inbound_rule() {
    let (line, notes) = on_ec2("0.0.0.0:0");
    let port = port_behind("example.com:", &line);
    assert!(line.starts_with("open http://ec2-3-4-5-6.example.com:"), "{line}");
    let rule = format!("--region eu-central-1 --group-id sg-0a1b2c --protocol tcp --port {port}");
    assert!(notes.contains(&rule), "{notes}");
}

#[test]
fn on_ec2_and_loopback_it_names_the_tunnel() {
    let (line, notes) = on_ec2("127.0.0.1:0");
    let port = port_behind("127.0.0.1:", &line);
    let tunnel = format!("ssh -N -L {port}:127.0.0.1:{port} ubuntu@ec2-3-4-5-6.example.com");
    assert!(notes.contains(&tunnel), "{notes}");
}
