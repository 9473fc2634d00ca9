//! Tests `ping --aws` and `--aws-documents` with an imitation of AWS (moto), the real program `aws`, and
//! programs that misbehave.
//!
//! moto does not forward packets. A fix counts as right if the API accepts it and the verdict on the new
//! documents is "allowed".

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use support::process::Process;
use support::{Finished, Home, Program, Visitor, tools};

/// A moto process. Its instance metadata is that of the network that was built last.
struct Imitation {
    port: u16,
    cache: SilentCache,
    _process: Process,
}

/// A port of this computer on which connections get no reply, because the queue of the listener is full.
struct SilentCache {
    port: u16,
    _sockets: Vec<socket2::Socket>,
}

impl SilentCache {
    /// Listens on all addresses of the networks in `imitation.py`, and on 127.0.0.1.
    fn start() -> Self {
        let socket = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let mut sockets = Vec::new();
        let mut port = 0;
        for host in [[127, 0, 3, 17], [127, 0, 1, 17], [127, 1, 3, 17]] {
            let listener = socket();
            listener
                .bind(&std::net::SocketAddr::from((host, port)).into())
                .unwrap();
            // The first connection occupies the only place in the queue.
            listener.listen(0).unwrap();
            let address = listener.local_addr().unwrap();
            port = address.as_socket().unwrap().port();
            sockets.push(listener);
            for _ in 0..4 {
                let queued = socket();
                queued.set_nonblocking(true).unwrap();
                let _ = queued.connect(&address);
                sockets.push(queued);
            }
        }
        Self {
            port,
            _sockets: sockets,
        }
    }

    fn url(&self) -> String {
        format!("redis://127.0.3.17:{}", self.port)
    }
}

type Variables = Vec<(&'static str, String)>;

impl Imitation {
    fn start(home: &Home) -> Self {
        let port_file = home.path().join("port");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws/imitation.py");
        let cache = SilentCache::start();
        let mut command = Command::new(tools::python());
        command.arg(script).arg(&port_file).arg(cache.port.to_string());
        let log = home.path().join("imitation.log");
        let process = Process::start(command, &log, || port_file.exists()).unwrap();
        let port = fs::read_to_string(&port_file).unwrap().parse().unwrap();
        Self {
            port,
            cache,
            _process: process,
        }
    }

    fn get(&self, path: &str) -> String {
        Visitor::at(self.port).get(path).expect(200).body
    }

    fn post(&self, path: &str, body: &str) -> String {
        let headers = [("Content-Type", "text/plain")];
        let mut visitor = Visitor::at(self.port);
        visitor
            .ask("POST", path, &headers, Some(body.as_bytes()))
            .expect(200)
            .body
    }

    /// Returns the URL of the cache in the network that `facts` describes.
    fn url(&self, facts: &Value) -> String {
        format!(
            "redis://{}:{}",
            facts["address"].as_str().unwrap(),
            self.cache.port
        )
    }

    /// Returns the environment variables with which programs use the imitation of AWS.
    fn variables(&self) -> Variables {
        let url = format!("http://127.0.0.1:{}", self.port);
        vec![
            ("PATH", with_programs(tools::python().parent().unwrap())),
            ("AWS_ENDPOINT_URL", url.clone()),
            ("AWS_EC2_METADATA_DISABLED", "false".into()),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url),
            ("AWS_ACCESS_KEY_ID", "x".into()),
            ("AWS_SECRET_ACCESS_KEY", "x".into()),
        ]
    }
}

fn with_programs(folder: &Path) -> String {
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

fn with_all(mut program: Program, variables: &Variables) -> Program {
    for (name, value) in variables {
        program = program.env(name, value);
    }
    program
}

/// Returns the command `ping --aws` with this time limit for the AWS queries, in seconds.
fn ping_aws(home: &Home, url: &str, timeout: &str) -> Program {
    let options = ["ping", "--json", "--timeout", "0.5", "--aws", "--aws-timeout"];
    home.sessiontut(options).args([timeout, url])
}

/// Runs `ping --aws` against the cache of a network.
fn ask(home: &Home, url: &str, variables: &Variables) -> Value {
    with_all(ping_aws(home, url, "90"), variables).run().json()
}

fn commands(report: &Value, member: &str) -> Vec<String> {
    let fixes = report["aws"]["fixes"].as_array().unwrap().iter();
    let own = fixes.filter(|fix| !fix["undo"].is_null());
    own.filter_map(|fix| fix[member].as_str().map(str::to_owned))
        .collect()
}

fn run_in_bash(line: &str, variables: &Variables) {
    let mut bash = Command::new("bash");
    bash.args(["-ec", line])
        .envs(variables.iter().map(|(name, value)| (name, value)));
    let output = bash.output().unwrap();
    assert!(
        output.status.success(),
        "{line}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn judge(home: &Home, documents: &str) -> Finished {
    home.sessiontut(["ping", "--json", "--aws-documents", "-"])
        .input(documents)
        .run()
}

#[test]
fn networks_that_are_built_live_have_the_expected_verdict() {
    let home = Home::new();
    let imitation = Imitation::start(&home);
    for (name, verdict, first) in [
        ("allowed", "allowed", None),
        ("same-subnet", "allowed", None),
        ("missing-rule", "denied", Some("sg.ingress")),
        ("other-port", "denied", Some("sg.ingress")),
        ("other-range", "denied", Some("sg.ingress")),
        ("udp", "denied", Some("sg.ingress")),
        ("port-range", "allowed", None),
        ("prefix-list", "allowed", None),
        ("no-egress", "denied", Some("sg.egress")),
        ("acl-out", "denied", Some("acl.out")),
        ("acl-in", "denied", Some("acl.in")),
        ("acl-replies", "denied", Some("acl.back-out")),
        ("acl-partly", "partly", Some("acl.back-in")),
        ("rule-and-acl", "denied", Some("sg.ingress")),
    ] {
        check_live(&home, &imitation, name, verdict, first);
    }
}

#[test]
fn two_vpcs_that_are_built_live_have_the_expected_verdict() {
    let home = Home::new();
    // All these networks use the same address ranges, so each needs its own account.
    for (name, verdict, first) in [
        ("other-vpc", "denied", Some("vpc.different")),
        ("peering", "allowed", None),
        ("peering-no-routes", "denied", Some("route.there")),
        ("peering-pending", "denied", Some("vpc.peering")),
    ] {
        let imitation = Imitation::start(&home);
        check_live(&home, &imitation, name, verdict, first);
        drop(imitation);
        fs::remove_file(home.path().join("port")).unwrap();
    }
}

fn check_live(home: &Home, imitation: &Imitation, name: &str, verdict: &str, first: Option<&str>) {
    let documents = imitation.get(&format!("/documents/{name}"));
    let found = judge(home, &documents);
    let report = found.json();
    let aws = &report["aws"];
    let found_first = aws["first"].as_str();
    assert_eq!(
        (aws["verdict"].as_str(), found_first),
        (Some(verdict), first),
        "{name}: {:#}",
        aws["checks"]
    );
    let exit = if verdict == "allowed" { 0 } else { 4 };
    assert_eq!(found.code(), Some(exit), "{name}");
}

/// Queries a network with the real program `aws`, runs the fixes, and queries the network again. Then undoes
/// the fixes, and queries the network once more.
fn fix_and_undo(name: &str) {
    let home = Home::new();
    let imitation = Imitation::start(&home);
    let facts: Value = serde_json::from_str(&imitation.get(&format!("/build/{name}"))).unwrap();
    let address = &imitation.url(&facts);
    let variables = imitation.variables();
    let before = ask(&home, address, &variables);
    assert_ne!(before["aws"]["verdict"], "allowed", "{name}: {:#}", before["aws"]);
    let fixes = commands(&before, "command");
    assert!(!fixes.is_empty(), "{name}: {before:#}");
    fixes.iter().for_each(|fix| run_in_bash(fix, &variables));
    let fixed = ask(&home, address, &variables);
    assert_eq!(
        fixed["aws"]["verdict"], "allowed",
        "{name}: {fixes:?} {:#}",
        fixed["aws"]
    );
    assert!(commands(&fixed, "undo").is_empty(), "{name}");
    // After a peering connection has been accepted, it cannot become pending again.
    if !name.starts_with("peering-pending") {
        commands(&before, "undo")
            .iter()
            .rev()
            .for_each(|undo| run_in_bash(undo, &variables));
        let undone = ask(&home, address, &variables);
        assert_eq!(
            undone["aws"]["verdict"], before["aws"]["verdict"],
            "{name}: {:#}",
            undone["aws"]
        );
        assert_eq!(undone["aws"]["first"], before["aws"]["first"], "{name}");
    }
}

#[test]
fn a_missing_rule_is_added_and_removed_again() {
    fix_and_undo("missing-rule");
}

#[test]
fn a_missing_rule_for_outgoing_traffic_is_added_and_removed_again() {
    fix_and_undo("no-egress");
}

#[test]
fn an_entry_before_a_denying_one_is_added_and_removed_again() {
    fix_and_undo("acl-in");
}

#[test]
fn an_entry_for_replies_is_added_and_removed_again() {
    fix_and_undo("acl-replies");
}

#[test]
fn a_rule_and_an_entry_are_added_and_removed_again() {
    fix_and_undo("rule-and-acl");
}

#[test]
fn missing_routes_are_added_and_removed_again() {
    fix_and_undo("peering-no-routes");
}

#[test]
fn a_pending_peering_is_accepted() {
    fix_and_undo("peering-pending");
}

/// Runs `ping --aws` as a user whose policy is the printed one without this action. The imitation enforces
/// IAM policies.
fn ask_with_policy_without(action: &str, network: &str) -> Value {
    let home = Home::new();
    let imitation = Imitation::start(&home);
    let facts: Value = serde_json::from_str(&imitation.get(&format!("/build/{network}"))).unwrap();
    let mut policy = home.run(["ping", "--aws-policy"]).expect(0).json();
    let actions = policy["Statement"][0]["Action"].as_array_mut().unwrap();
    actions.retain(|one| one != action);
    let keys = imitation.post("/user", &policy.to_string());
    let (id, secret) = keys.split_once('\n').unwrap();
    imitation.post("/moto-api/reset-auth", "0");
    let mut variables = imitation.variables();
    variables.push(("AWS_ACCESS_KEY_ID", id.to_owned()));
    variables.push(("AWS_SECRET_ACCESS_KEY", secret.to_owned()));
    ask(&home, &imitation.url(&facts), &variables)
}

#[test]
fn the_printed_policy_is_enough() {
    let report = ask_with_policy_without("", "missing-rule");
    assert_eq!(report["aws"]["first"], "sg.ingress", "{:#}", report["aws"]);
    assert!(
        report["aws"]["needs"].as_array().unwrap().is_empty(),
        "{:#}",
        report["aws"]
    );
}

#[test]
fn a_missing_permission_is_named_and_the_rest_is_judged() {
    let report = ask_with_policy_without("ec2:DescribeNetworkAcls", "allowed");
    assert_eq!(report["aws"]["verdict"], "unknown", "{:#}", report["aws"]);
    assert_eq!(
        report["aws"]["needs"],
        serde_json::json!(["ec2:DescribeNetworkAcls"])
    );
}

/// Returns a home with this script as the program `aws`.
fn home_with_program(script: &str) -> Home {
    let home = Home::new();
    let bin = home.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let program = bin.join("aws");
    fs::write(&program, format!("#!/bin/bash\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    home
}

/// Runs `ping --aws` with this script as the program `aws`.
fn with_program(script: &str, more: &[(&str, &str)]) -> (Home, Value, Duration) {
    let home = home_with_program(script);
    let cache = SilentCache::start();
    let options = [
        "ping",
        "--json",
        "--timeout",
        "0.5",
        "--aws",
        "--aws-timeout",
        "3",
        &format!("redis://:Plover-4417@127.0.3.17:{}", cache.port),
    ];
    let mut run = home
        .sessiontut(options)
        .env("PATH", with_programs(&home.path().join("bin")));
    for (name, value) in more {
        run = run.env(name, value);
    }
    let finished = run.run();
    let report = finished.json();
    (home, report, finished.took)
}

#[test]
fn a_program_that_misbehaves_is_reported_in_time() {
    for script in [
        "sleep 60",
        "sleep 60 & sleep 60",
        "echo garbage",
        "head -c 5000000 /dev/zero",
        "echo '{\"NetworkInterfaces\": ['",
        "echo '[1]'",
        "read -r answer </dev/tty; sleep 60",
        "for number in 1 2 3 4 5; do echo \"{\\\"NetworkInterfaces\\\": []}\"; sleep 1; done",
        "echo 'aws: [ERROR]: An error occurred (UnauthorizedOperation) when calling the DescribeSubnets operation: no' >&2; exit 254",
        "echo 'Unable to locate credentials. You can configure credentials by running \"aws configure\".' >&2; exit 253",
        "echo 'Could not connect to the endpoint URL: \"https://ec2\"' >&2; exit 255",
        "exit 0",
        "kill -9 $$",
    ] {
        let (_, report, took) = with_program(script, &[]);
        assert_eq!(report["aws"]["verdict"], "unknown", "{script}");
        assert!(took < Duration::from_secs(10), "{script}: {took:?}");
        assert!(
            report["aws"]["commands"]
                .as_array()
                .is_some_and(|all| !all.is_empty()),
            "{script}"
        );
    }
}

#[test]
fn children_only_read_and_get_no_secret() {
    let script = "printf '%s\\n' \"$*\" >> \"$HOME/calls\"; env >> \"$HOME/environment\"; echo '{}'";
    let more = [
        ("REDISCLI_AUTH", "Quail-2291"),
        ("REDIS_URL", "redis://:Quail-2291@10.0.0.9"),
    ];
    let (home, ..) = with_program(script, &more);
    let calls = fs::read_to_string(home.path().join("calls")).unwrap();
    assert!(calls.lines().count() >= 2, "{calls}");
    for call in calls.lines() {
        let operation = call.split(' ').nth(1).unwrap();
        let reads = ["describe-", "get-", "search-"]
            .iter()
            .any(|verb| operation.starts_with(verb));
        assert!(reads && !call.contains("Plover"), "{call}");
    }
    let environment = fs::read_to_string(home.path().join("environment")).unwrap();
    assert!(
        !environment.contains("Plover") && !environment.contains("Quail"),
        "{environment}"
    );
}

#[test]
fn without_the_option_no_program_is_started() {
    let home = Home::new();
    let bin = home.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let program = bin.join("aws");
    fs::write(&program, "#!/bin/sh\ntouch \"$HOME/started\"\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let run = home.sessiontut(["ping", "--json", "--timeout", "0.5", &SilentCache::start().url()]);
    let report = run.env("PATH", with_programs(&bin)).run().json();
    assert!(report["aws"].is_null());
    assert!(!home.path().join("started").exists());
}

#[test]
fn the_output_of_the_script_is_judged_like_the_answers() {
    let home = Home::new();
    let imitation = Imitation::start(&home);
    let facts: Value = serde_json::from_str(&imitation.get("/build/rule-and-acl")).unwrap();
    let variables = imitation.variables();
    let url = imitation.url(&facts);
    let options = ["ping", "--timeout", "0.5", "--aws-commands", &url];
    let script = with_all(home.sessiontut(options), &variables)
        .run()
        .expect(0)
        .stdout;
    let mut bash = Command::new("bash");
    bash.args(["-c", &script])
        .envs(variables.iter().map(|(name, value)| (name, value)));
    let output = String::from_utf8(bash.output().unwrap().stdout).unwrap();
    assert!(output.lines().all(|line| line.len() < 4096));
    let report = judge(&home, &output).expect(4).json();
    assert_eq!(report["aws"]["first"], "sg.ingress", "{output}");
    assert_eq!(commands(&report, "command").len(), 2, "{report:#}");
    assert_eq!(report["fixes"][0]["undo"], report["aws"]["fixes"][0]["undo"]);
}

#[test]
fn aws_is_not_asked_about_a_cause_in_another_layer() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", server.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in server.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let home = home_with_program("touch \"$HOME/started\"; echo '{}'");
    let options = ["ping", "--json", "--aws", &url];
    let path = with_programs(&home.path().join("bin"));
    let report = home.sessiontut(options).env("PATH", path).run().json();
    assert_eq!(report["cause"], "proto.not_redis");
    assert!(report["aws"].is_null(), "{report:#}");
    assert!(!home.path().join("started").exists());
}

#[test]
fn quiet_prints_no_progress() {
    let home = home_with_program("echo '{}'");
    let path = with_programs(&home.path().join("bin"));
    let cache = SilentCache::start();
    let url = cache.url();
    let run = |more: &[&str]| {
        let options = ["ping", "--timeout", "0.5", "--aws", &url];
        let finished = home
            .sessiontut([&options[..], more].concat())
            .env("PATH", path.clone())
            .run();
        finished.stderr
    };
    assert!(run(&[]).contains("describe-network-interfaces"));
    assert_eq!(run(&["--quiet"]), "");
}

#[test]
fn a_report_contains_the_documents_without_account_numbers() {
    let home = Home::new();
    let imitation = Imitation::start(&home);
    let facts: Value = serde_json::from_str(&imitation.get("/build/missing-rule")).unwrap();
    let url = imitation.url(&facts);
    let file = home.path().join("report.json");
    let options = [
        "ping",
        "--timeout",
        "0.5",
        "--aws",
        "--aws-timeout",
        "90",
        "--report",
        file.to_str().unwrap(),
        &url,
    ];
    with_all(home.sessiontut(options), &imitation.variables())
        .run()
        .expect(4);
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains("123456789012"), "{text}");
    let report: Value = serde_json::from_str(&text).unwrap();
    assert!(report["aws"]["documents"].as_array().unwrap().len() > 5);
    // `ping` can evaluate the report again without access to AWS.
    let again = judge(&home, &text).expect(4).json();
    assert_eq!(again["aws"]["checks"], report["aws"]["checks"]);
    assert_eq!(again["aws"]["fixes"], report["aws"]["fixes"]);
}

/// Runs `ping --aws` with the real program `aws` and these environment variables.
fn with_real_program(variables: &[(&str, &str)], timeout: &str) -> (Value, Duration) {
    let home = Home::new();
    let cache = SilentCache::start();
    let config = home.path().join("config");
    fs::write(
        &config,
        "[profile mfa]\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = base\nmfa_serial = \
         arn:aws:iam::123456789012:mfa/x\n[profile base]\naws_access_key_id = x\naws_secret_access_key = x\n",
    )
    .unwrap();
    let mut run = ping_aws(&home, &cache.url(), timeout)
        .env("PATH", with_programs(tools::python().parent().unwrap()))
        .env("AWS_CONFIG_FILE", config.to_str().unwrap())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_DEFAULT_REGION", "eu-central-1");
    for (name, value) in variables {
        run = run.env(name, value);
    }
    let finished = run.run();
    (finished.json(), finished.took)
}

fn is_reported(report: &Value) -> bool {
    let evidence = report["evidence"].as_array().unwrap().len();
    report["aws"]["verdict"] == "unknown"
        && !report["aws"]["notes"].as_array().unwrap().is_empty()
        && evidence > 1
}

#[test]
fn the_real_program_without_usable_credentials_is_reported_in_time() {
    for variables in [&[("AWS_PROFILE", "mfa")][..], &[("AWS_PROFILE", "missing")], &[]] {
        let (report, took) = with_real_program(variables, "60");
        assert!(is_reported(&report), "{variables:?}: {report:#}");
        let commands = report["aws"]["commands"].as_array().unwrap();
        assert!(commands.len() <= 3, "{variables:?}: {commands:#?}");
        assert!(took < Duration::from_secs(75), "{variables:?}: {took:?}");
    }
}

#[test]
fn a_dead_or_silent_endpoint_is_reported_in_time() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for address in [silent.local_addr().unwrap(), closed] {
        let url = format!("http://{address}");
        let keys = [
            ("AWS_ENDPOINT_URL", url.as_str()),
            ("AWS_ACCESS_KEY_ID", "x"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
        ];
        let (report, took) = with_real_program(&keys, "8");
        assert!(is_reported(&report), "{address}: {report:#}");
        assert!(took < Duration::from_secs(20), "{address}: {took:?}");
    }
}

#[test]
fn aws_is_not_asked_about_a_connection_that_works_outside_ec2() {
    let server = support::redis_server::RedisServer::with().start();
    let home = home_with_program("touch \"$HOME/started\"; echo '{}'");
    let path = with_programs(&home.path().join("bin"));
    let run = home
        .sessiontut(["ping", "--json", "--aws", &server.url()])
        .env("PATH", path)
        .env("AWS_EC2_METADATA_DISABLED", "true");
    assert!(run.run().expect(0).json()["aws"].is_null());
    assert!(!home.path().join("started").exists());
}
