//! Tests that common clients work with the practice Redis: redis-cli, redis-benchmark, redis-py, node-redis and the
//! redis crate.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use std::process::{Command, Output};

use sessiontut::practice::{Server, ServerOptions};
use sessiontut::secret::Secret;
use support::{Home, process, tools};

const PASSWORD: &str = "Plover-4417";

fn server() -> Server {
    let options = ServerOptions {
        password: Some(Secret::new(PASSWORD)),
        ..ServerOptions::default()
    };
    Server::start(options).unwrap()
}

fn url(server: &Server) -> String {
    format!("redis://:{PASSWORD}@{}/0", server.address())
}

#[track_caller]
fn output(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let printed = format!(
        "{}{}",
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr)
    );
    assert!(status.success(), "{command:?}: {status}\n{printed}");
    printed
}

#[test]
fn redis_cli_works() {
    let server = server();
    let cli = |arguments: &[&str]| {
        let mut command = Command::new(process::required("redis-cli", "redis-tools"));
        command
            .env("REDISCLI_AUTH", PASSWORD)
            .args(["-p", &server.address().port().to_string()]);
        output(command.args(arguments))
    };
    assert_eq!(cli(&["SET", "k", "v"]).trim(), "OK");
    assert_eq!(cli(&["-3", "--json", "HSET", "h", "a", "1"]).trim(), "1");
    assert_eq!(cli(&["-3", "--json", "HGETALL", "h"]).trim(), r#"{"a":"1"}"#);
    assert_eq!(cli(&["--scan", "--pattern", "k*"]).trim(), "k");
    assert!(cli(&["INFO", "server"]).contains("server_name:sessiontut-practice"));
}

#[test]
fn redis_cli_accepts_the_url_that_practice_prints() {
    let home = Home::new();
    let mut practice = home.sessiontut(["practice", "--no-save"]).start();
    let url = practice.first_line();
    let mut command = Command::new(process::required("redis-cli", "redis-tools"));
    command.env_remove("REDISCLI_AUTH").args(["-u", &url, "PING"]);
    assert!(output(&mut command).starts_with("PONG\n"));
}

#[test]
fn redis_benchmark_runs() {
    let server = server();
    let mut command = Command::new(process::required("redis-benchmark", "redis-tools"));
    let port = server.address().port().to_string();
    let said = output(command.args([
        "-p",
        &port,
        "-a",
        PASSWORD,
        "-n",
        "2000",
        "-c",
        "20",
        "-P",
        "8",
        "-q",
        "-t",
        "ping,set,get,incr,hset,sadd,mset",
    ]));
    assert_eq!(said.matches("requests per second").count(), 8, "{said}");
    assert!(!said.contains("rror"), "{said}");
}

#[test]
fn the_redis_crate_works_with_both_protocols() {
    let server = server();
    for protocol in ["", "?protocol=resp3"] {
        let client = redis::Client::open(format!("{}{protocol}", url(&server))).unwrap();
        let mut connection = client.get_connection().unwrap();
        let replies: (i64, i64, Vec<(String, String)>) = redis::pipe()
            .atomic()
            .cmd("HINCRBY")
            .arg("h")
            .arg("visits")
            .arg(1)
            .cmd("EXPIRE")
            .arg("h")
            .arg(100)
            .cmd("HGETALL")
            .arg("h")
            .query(&mut connection)
            .unwrap();
        assert_eq!((replies.1, replies.2.len()), (1, 1));
    }
}

const PYTHON: &str = r#"
import sys, redis
for protocol in (2, 3):
    r = redis.Redis.from_url(sys.argv[1], protocol=protocol, decode_responses=True)
    r.flushall()
    assert r.set("k", "v", ex=100, nx=True) is True
    assert r.get("k") == "v" and 99 <= r.ttl("k") <= 100
    r.hset("h", mapping={"a": 1, "b": 2})
    assert r.hgetall("h") == {"a": "1", "b": "2"}
    assert r.sadd("s", 1, 2) == 2 and r.smembers("s") == {"1", "2"}
    with r.pipeline(transaction=True) as pipe:
        pipe.watch("k")
        pipe.multi()
        pipe.hincrby("h", "a", 5).expire("h", 10).hgetall("h")
        assert pipe.execute() == [6, True, {"a": "6", "b": "2"}]
    assert sorted(r.scan_iter("*")) == ["h", "k", "s"]
    p = r.pubsub()
    p.subscribe("c")
    assert p.get_message(timeout=5)["type"] == "subscribe"
    r.publish("c", "hello")
    assert p.get_message(timeout=5)["data"] == "hello"
    try:
        r.incr("h")
    except redis.ResponseError as e:
        assert str(e).startswith("WRONGTYPE")
    else:
        raise SystemExit("no error")
    assert r.info()["server_name"] == "sessiontut-practice"
    assert r.client_list() and r.config_get("databases") == {"databases": "16"}
print("all held")
"#;

#[test]
fn redis_py_works_with_both_protocols() {
    let server = server();
    let said = output(Command::new(tools::python()).args(["-c", PYTHON, &url(&server)]));
    assert_eq!(said.trim(), "all held");
}

const NODE: &str = r#"
const { createClient } = require("redis");
(async () => {
  const client = createClient({ url: process.argv[1] });
  client.on("error", (error) => { console.error(error); process.exit(1); });
  await client.connect();
  await client.set("k", "v", { EX: 100 });
  const [visits, , all] = await client.multi().hIncrBy("h", "visits", 1).expire("h", 100).hGetAll("h").exec();
  if (visits !== 1 || all.visits !== "1") throw new Error(JSON.stringify(all));
  const listener = client.duplicate();
  await listener.connect();
  const heard = new Promise((resolve) => listener.subscribe("c", resolve).then(() => client.publish("c", "hello")));
  if ((await heard) !== "hello") throw new Error("not heard");
  await listener.close();
  await client.close();
  console.log("all held");
})().catch((error) => { console.error(error); process.exit(1); });
"#;

#[test]
fn node_redis_works() {
    let server = server();
    let mut node = Command::new(process::required("node", "nodejs"));
    let said =
        output(
            node.env("NODE_PATH", tools::node_modules("node-redis"))
                .args(["-e", NODE, &url(&server)]),
        );
    assert_eq!(said.trim(), "all held");
}
