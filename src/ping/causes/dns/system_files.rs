//! Suggests fixes for the files of this system that decide how a host name is looked up: `/etc/hosts`,
//! `/etc/nsswitch.conf` and files that this user cannot read.

use super::super::Cause;
use super::super::fix::{Fix, Fixes, advise};
use super::super::fix_context::FixContext;
use crate::ping::observation::{Lookup, NameAnswer};
use crate::redis_url::hosting::CONTAINER_HOST;

/// Adds a fix about the host name's entry in `/etc/hosts`. The fix comes first, unless the connection
/// succeeded and no name server returned a different address. If the lookup found no address, the fix is
/// about an unreadable file of the DNS configuration, or about an entry that this system does not use.
pub(in crate::ping) fn hosts_file_fixes(cause: Cause, at: &FixContext, fixes: Vec<Fix>) -> Vec<Fix> {
    let is_local = matches!(cause, Cause::LocalOpenFiles | Cause::TcpNoLocalPort);
    let (entry, lookup) = match &at.seen.dns {
        Some(lookup) if !is_local && !at.host().eq_ignore_ascii_case("localhost") => {
            (lookup.hosts_file.as_ref(), lookup)
        }
        _ => return fixes,
    };
    if lookup.addresses.is_empty() {
        let unused = || entry.and_then(|_| unused_hosts_file(lookup));
        let own: Option<Vec<Fix>> = unreadable_file(lookup).or_else(unused).map(Into::into);
        return own.into_iter().flatten().chain(fixes).collect();
    }
    let Some(entry) = entry else {
        return fixes;
    };
    if !lookup.addresses.contains(&entry.address) {
        return fixes;
    }
    let line = entry.line;
    // The container runtime writes these entries, so they are usually right.
    if at
        .hosting()
        .is_some_and(|hosting| hosting.service == CONTAINER_HOST)
    {
        return fixes;
    }
    let others = lookup.servers.iter().find_map(|server| match &server.answer {
        NameAnswer::Addresses(found) if !found.contains(&entry.address) => Some(found),
        _ => None,
    });
    let is_connected = at.seen.tcp.connected().is_some();
    let look = format!("sed -n {line}p /etc/hosts");
    let own = match others {
        Some(found) => {
            let found = found.iter().map(ToString::to_string).collect::<Vec<_>>();
            let found = found.join(", ");
            let condition = match is_connected {
                true => format!("if {} is not the right server, ", entry.address),
                false => String::new(),
            };
            let text = format!(
                "{condition}correct or comment out line {line} of /etc/hosts: the name servers return {found}"
            );
            advise("hosts-file", text).command(if entry.is_shared {
                look
            } else {
                edited("/etc/hosts", &format!("{line}s/^/#/"))
            })
        }
        None => advise(
            "hosts-file",
            format!("check whether the address in line {line} of /etc/hosts is right"),
        )
        .command(look),
    };
    let own: Vec<Fix> = own.into();
    if others.is_none() && is_connected {
        fixes.into_iter().chain(own).collect()
    } else {
        own.into_iter().chain(fixes).collect()
    }
}

/// Suggests a fix if this user has no permission to read a file with this system's DNS configuration.
fn unreadable_file(lookup: &Lookup) -> Option<Fixes> {
    let (path, _) = lookup.unreadable.first()?;
    let text = format!("allow all users to read {path}, because every lookup of a name reads this file");
    Some(advise("permission", text).command(format!("sudo chmod a+r {path}")))
}

/// Suggests a fix if the host name is in `/etc/hosts`, but `/etc/nsswitch.conf` does not tell the system to
/// read `/etc/hosts`.
fn unused_hosts_file(lookup: &Lookup) -> Option<Fixes> {
    let line = lookup
        .nsswitch
        .as_ref()
        .filter(|line| !line.sets_source("files"))?;
    let text = format!(
        "add files to line {} of /etc/nsswitch.conf (for example, hosts: files dns), because this system does not use \
         /etc/hosts",
        line.number
    );
    Some(advise("nsswitch", text).command(edited("/etc/nsswitch.conf", "s/^ *hosts:/& files/")))
}

/// Returns a command that edits a system file with a sed script. `sed -i` is not used, because it replaces
/// the file, and a file that is mounted into a container cannot be replaced.
fn edited(path: &str, script: &str) -> String {
    format!("sudo sh -c 'new=$(sed \"{script}\" {path}) && printf \"%s\\n\" \"$new\" > {path}'")
}

/// Suggests fixes if a name server resolves the host name, but the system's resolver does not.
pub(super) fn name_sources(at: &FixContext) -> Fixes {
    if at.name_servers().iter().any(|server| server.answer.denies()) {
        return advise(
            "resolver",
            "in /etc/resolv.conf, keep only the name servers that know the name, because applications accept the \
             first answer",
        )
        .command("cat /etc/resolv.conf");
    }
    let Some(line) = at.seen.dns.as_ref().and_then(|lookup| lookup.nsswitch.as_ref()) else {
        return advise(
            "resolver",
            "find out which name servers this system's resolver queries: probably not the one in /etc/resolv.conf that \
             knows the name",
        )
        .command("resolvectl status");
    };
    let number = line.number;
    let uses_dns = line
        .text
        .split_whitespace()
        .any(|word| matches!(word, "dns" | "resolve"));
    let text = if uses_dns {
        format!(
            "put dns first in line {number} of /etc/nsswitch.conf, because another source ends the lookup before DNS \
             is queried"
        )
    } else {
        format!(
            "add dns to line {number} of /etc/nsswitch.conf (for example, hosts: files dns), because this system \
             does not use DNS"
        )
    };
    let is_easily_completed = !uses_dns && !line.text.contains('#');
    advise("nsswitch", text).command(if is_easily_completed {
        edited("/etc/nsswitch.conf", "s/^ *hosts:.*/& dns/")
    } else {
        "grep -n 'hosts:' /etc/nsswitch.conf".to_owned()
    })
}
