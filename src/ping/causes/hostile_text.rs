//! Checks that fix commands never execute text that comes from outside this program.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Cause, FixContext, url_fixes};
use crate::ping::instance::Instance;
use crate::ping::observation::{
    Dial, DialResult, Endpoint, HostsEntry, Lookup, NameAnswer, NameServer, NamedPrimary, Observations,
    ServerInfo,
};
use crate::ping::this_host::{Nearness, ThisHost};
use crate::redis_url::{Address, Target, UrlError, UrlErrorKind};
use crate::secret::Secret;

/// Texts that create the file `executed` if a shell executes any part of the text.
const HOSTILE: [&str; 9] = [
    "a; : > executed",
    "a\n: > executed\n",
    "$(: > executed)",
    "`: > executed`",
    "'; : > executed; '",
    "\"; : > executed; \"",
    "-a && : > executed",
    "\\'; : > executed #",
    "a' \"$(: > executed)\" '",
];

/// Returns targets and observations with `text` in every value that comes from outside this program.
fn hostile(text: &str) -> [(Target, Observations); 4] {
    let word = || text.to_owned();
    let remote = Target {
        user: Some(word()),
        password: Some(Secret::new("Plover-4417")),
        ..Target::new(Address::Tcp {
            host: word(),
            port: 6379,
        })
    };
    let names = [
        "master_host",
        "master_port",
        "role",
        "maxmemory_policy",
        "redis_version",
        "bind",
        "timeout",
    ];
    let fields: BTreeMap<_, _> = names.map(|name| (name.to_owned(), word())).into();
    let primary = NamedPrimary {
        name: word(),
        host: word(),
        port: 6379,
    };
    let dial = |to| Dial {
        to,
        result: DialResult::Connected,
        took: Duration::ZERO,
    };
    let seen = Observations::default().with(|seen| {
        let server = NameServer {
            address: "10.0.0.2:53".parse().unwrap(),
            answer: NameAnswer::DanglingAlias(word()),
            silent_about: None,
            took: Duration::ZERO,
        };
        let entry = HostsEntry {
            line: 2,
            address: IpAddr::from([10, 0, 3, 17]),
            is_shared: false,
        };
        seen.dns = Some(Lookup {
            alias: Some(word()),
            hosts_file: Some(entry),
            servers: vec![server],
            ..Lookup::default()
        });
        seen.server = ServerInfo {
            fields: fields.clone().into(),
            cluster: fields.clone(),
            settings: fields,
            sentinel_primary: Some(primary),
            sentinel_primary_dials: vec![dial(Endpoint::Named(word()))],
            ..ServerInfo::default()
        };
    });
    let at_aws = seen.clone().with(|seen| {
        let address = "10.0.3.17:6379".parse().unwrap();
        seen.dns = None;
        seen.tcp.dials = vec![dial(Endpoint::Ip(address))];
        seen.this_host = ThisHost {
            nearness: Nearness::ForeignPrivate,
            instance: Some(Instance {
                region: word(),
                groups: vec![word()],
                ..Instance::default()
            }),
            ..ThisHost::default()
        };
    });
    let here = seen.clone().with(|seen| {
        seen.this_host = ThisHost {
            nearness: Nearness::Loopback,
            ..ThisHost::default()
        };
    });
    let socket = Target {
        address: Address::Unix(format!("/run/{text}").into()),
        ..remote.clone()
    };
    // An IP address, because a host name without a dot counts as the name of a container.
    let at_ip = Target::parse("redis://10.0.3.17").unwrap();
    [
        (remote.clone(), seen.clone()),
        (at_ip, at_aws),
        (socket, seen),
        (remote, here),
    ]
}

fn run(shell: &mut Command) -> bool {
    let quiet = shell
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quiet.status().unwrap().success()
}

#[test]
fn no_command_executes_text_from_outside() {
    let folder = tempfile::tempdir().unwrap();
    for text in HOSTILE {
        for (number, (target, seen)) in hostile(text).iter().enumerate() {
            let context = FixContext::of(target, seen).with_reply(Some(text));
            let error = UrlError {
                is_about_variables: false,
                kind: UrlErrorKind::Invalid,
                message: String::new(),
                suggestion: Some(text.to_owned()),
                advice: None,
                command: None,
            };
            let fixes = Cause::ALL.iter().flat_map(|cause| cause.fixes(&context));
            let fixes = fixes.chain(url_fixes(&error));
            let commands: Vec<_> = fixes.filter_map(|fix| fix.command).collect();
            assert!(commands.iter().all(|command| !command.contains('\n')), "{text:?}");
            let script = commands.join("\n");
            assert!(
                run(Command::new("sh").args(["-n", "-c", &script])),
                "{text:?} {number}\n{script}"
            );
            // PATH names no existing folder, so the shell cannot run any other program.
            run(Command::new("/bin/sh")
                .args(["-c", &script])
                .env("PATH", "/nonexistent")
                .current_dir(folder.path()));
            let leftovers = std::fs::read_dir(folder.path()).unwrap().count();
            assert_eq!(leftovers, 0, "{text:?} {number}\n{script}");
        }
    }
}
