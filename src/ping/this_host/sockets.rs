//! Reads this host's TCP sockets from `/proc/net/tcp` and `/proc/net/tcp6` (`proc_pid_net(5)`).

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::sanitize;

/// The kernel's range of local ports, and the number of ports in use for one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalPorts {
    pub first: u16,
    pub last: u16,
    /// The number of open connections to the destination.
    pub open: usize,
    /// The number of closed connections to the destination whose ports are not free yet (TIME_WAIT).
    pub time_wait: usize,
}

/// A process on this host that listens on the target's port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalListener {
    /// The address on which the process listens. The unspecified address means all addresses.
    pub address: IpAddr,
    /// The number of connections that the process has not accepted yet.
    pub waiting: u32,
    /// The name of the process, if this program has permission to read it.
    pub process: Option<String>,
}

impl LocalListener {
    /// Whether the process accepts connections to this address.
    pub(crate) fn covers(&self, address: IpAddr) -> bool {
        let is_dual_stack = self.address.is_ipv6() && self.address.is_unspecified();
        self.address == address
            || is_dual_stack
            || (self.address.is_unspecified() && self.address.is_ipv4() == address.is_ipv4())
    }

    /// Returns the kind of forwarder, such as `an SSH tunnel`, if the process forwards connections to a
    /// different server.
    pub(crate) fn forwarder(&self) -> Option<&'static str> {
        match self.process.as_deref()? {
            // The server side of `ssh -R` also listens.
            "ssh" | "autossh" | "sshd" => Some("an SSH tunnel"),
            "docker-proxy" | "rootlessport" | "slirp4netns" | "pasta" => Some("a container's published port"),
            "kubectl" => Some("kubectl port-forward"),
            "socat" | "stunnel" | "stunnel4" | "haproxy" | "envoy" | "nginx" => Some("a proxy"),
            _ => None,
        }
    }
}

const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// Returns the first and last local port that the kernel uses for outgoing connections. Returns `None` if the
/// kernel does not report them.
pub(crate) fn local_port_range() -> Option<(u16, u16)> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut bounds = range.split_whitespace().map(str::parse);
    Some((bounds.next()?.ok()?, bounds.next()?.ok()?))
}

/// Returns the kernel's range of local ports, and the number of local ports that connections to this address
/// use. Returns `None` if the kernel does not report them.
pub(in crate::ping) fn local_ports(to: SocketAddr) -> Option<LocalPorts> {
    let (first, last) = local_port_range()?;
    let table = fs::File::open(TABLES[usize::from(to.is_ipv6())]).ok()?;
    let is_it = |row: &Row| (row.remote.ip(), row.remote.port()) == (to.ip(), to.port());
    let (mut open, mut time_wait) = (0, 0);
    for row in rows(BufReader::new(table)).filter(is_it) {
        match row.state {
            ESTABLISHED => open += 1,
            TIME_WAIT => time_wait += 1,
            _ => {}
        }
    }
    Some(LocalPorts {
        first,
        last,
        open,
        time_wait,
    })
}

/// Returns the processes that listen on the port. Returns `None` if the kernel's tables cannot be read.
pub(super) fn listeners(port: u16) -> Option<Vec<LocalListener>> {
    // Listening sockets come first in the table. Each following row makes the kernel search its connections,
    // which takes a long time if there are many. To stop early, read about one row at a time.
    const ROW: usize = 150;
    let tables: Vec<_> = TABLES
        .iter()
        .filter_map(|path| fs::File::open(path).ok())
        .collect();
    if tables.is_empty() {
        return None;
    }
    let listening = |table| {
        let rows = rows(BufReader::with_capacity(ROW, table));
        rows.take_while(|row| row.state == LISTEN)
    };
    let listener = |row: Row| LocalListener {
        address: row.local.ip(),
        waiting: row.received,
        process: owner_of_socket(row.inode),
    };
    let rows = tables.into_iter().flat_map(listening);
    Some(
        rows.filter(|row| row.local.port() == port)
            .map(listener)
            .collect(),
    )
}

/// Returns the users who have opened connections from this host to `own`, an address on which this process
/// listens. The keys are the addresses of the other ends of these connections. Returns `None` if the tables
/// cannot be read, or do not list the sockets of this process.
pub(crate) fn users_connected_to(own: SocketAddr) -> Option<HashMap<SocketAddr, u32>> {
    // The tables may be long, so parse only a few rows.
    let port = format!(":{:04X} ", own.port());
    let rows = TABLES.iter().flat_map(|path| {
        let table = fs::read_to_string(path).unwrap_or_default();
        let rows = table.lines().filter(|line| line.contains(&port));
        rows.filter_map(Row::parse).collect::<Vec<_>>()
    });
    users_in(rows, own)
}

fn users_in(rows: impl Iterator<Item = Row>, own: SocketAddr) -> Option<HashMap<SocketAddr, u32>> {
    let mut users = HashMap::new();
    let mut has_own = false;
    for row in rows {
        has_own |= row.local == own;
        // The kernel shows user 0 for a socket that no program has open any more.
        if row.remote == own && row.inode != 0 {
            users.insert(row.local, row.user);
        }
    }
    has_own.then_some(users)
}

#[derive(Debug, PartialEq, Eq)]
struct Row {
    local: SocketAddr,
    remote: SocketAddr,
    state: u8,
    /// The length of the receive queue. For a listening socket, this is the number of waiting connections.
    received: u32,
    /// The user who opened the socket.
    user: u32,
    inode: u64,
}

const ESTABLISHED: u8 = 0x01;
const TIME_WAIT: u8 = 0x06;
const LISTEN: u8 = 0x0A;

fn rows(table: impl BufRead) -> impl Iterator<Item = Row> {
    let lines = table.lines().skip(1).map_while(io::Result::ok);
    lines.filter_map(|line| Row::parse(&line))
}

impl Row {
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, received) = fields.get(4)?.split_once(':')?;
        Some(Self {
            local: hex_address(fields.get(1)?)?,
            remote: hex_address(fields.get(2)?)?,
            state: u8::from_str_radix(fields.get(3)?, 16).ok()?,
            received: u32::from_str_radix(received, 16).ok()?,
            user: fields.get(7)?.parse().ok()?,
            inode: fields.get(9)?.parse().ok()?,
        })
    }
}

/// Parses a hexadecimal address and port. Each group of 8 digits in the address is a 32-bit number in this
/// host's byte order.
fn hex_address(text: &str) -> Option<SocketAddr> {
    let (text, port) = text.split_once(':')?;
    let words = (0..text.len() / 8).map(|at| u32::from_str_radix(text.get(at * 8..at * 8 + 8)?, 16).ok());
    let bytes: Vec<u8> = words
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .flat_map(u32::to_ne_bytes)
        .collect();
    let address = <[u8; 4]>::try_from(bytes.as_slice())
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes.as_slice()).map(|bytes| IpAddr::from(bytes).to_canonical()))
        .ok()?;
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}

/// Returns the name of a process that has opened the socket, if this program can find one. Only root has
/// permission to see the sockets of other users' processes.
fn owner_of_socket(inode: u64) -> Option<String> {
    let wanted = PathBuf::from(format!("socket:[{inode}]"));
    let is_it = |file: fs::DirEntry| fs::read_link(file.path()).is_ok_and(|target| target == wanted);
    let owns = |process: &Path| {
        fs::read_dir(process.join("fd")).is_ok_and(|mut files| files.any(|file| file.is_ok_and(is_it)))
    };
    let processes = fs::read_dir("/proc").ok()?.flatten().map(|entry| entry.path());
    let name = processes
        .filter(|process| owns(process))
        .find_map(|process| fs::read_to_string(process.join("comm")).ok())?;
    Some(sanitize::line(name.trim()).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_row_has_addresses_a_state_a_queue_and_an_inode() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n\
            0: 0100007F:18EB 00000000:0000 0A 00000000:00000003 00:00000000 00000000 1000 0 4711 1\n\
            1: 0100007F:18EB 0100007F:C1D2 01 00000000:000000FF 00:00000000 00000000 1000 0 4712 1\n";
        let address = if cfg!(target_endian = "little") {
            "127.0.0.1"
        } else {
            "1.0.0.127"
        };
        let at = |port: u16| SocketAddr::new(address.parse().unwrap(), port);
        let row = |remote, state, received, inode| Row {
            local: at(6379),
            remote,
            state,
            received,
            user: 1000,
            inode,
        };
        let found: Vec<_> = rows(table.as_bytes()).collect();
        let nowhere = "0.0.0.0:0".parse().unwrap();
        assert_eq!(
            found,
            [
                row(nowhere, LISTEN, 3, 4711),
                row(at(0xC1D2), ESTABLISHED, 255, 4712)
            ]
        );
        assert_eq!(
            hex_address("00000000000000000000000000000000:0050"),
            Some("[::]:80".parse().unwrap())
        );
    }

    #[test]
    fn a_connection_belongs_to_the_user_who_has_opened_it() {
        let at = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let row = |local: u16, remote: u16, user, inode| Row {
            local: at(local),
            remote: at(remote),
            state: ESTABLISHED,
            received: 0,
            user,
            inode,
        };
        let own = || [row(6390, 0, 1000, 1), row(6390, 50001, 1000, 2)].into_iter();
        let other = |inode| [row(50001, 6390, 33, inode), row(50001, 6379, 44, 4)].into_iter();
        let found = |rows: &mut dyn Iterator<Item = Row>| {
            let users = users_in(rows, at(6390))?;
            Some(users.get(&at(50001)).copied())
        };
        assert_eq!(found(&mut own().chain(other(3))), Some(Some(33)));
        assert_eq!(found(&mut other(3).chain(own())), Some(Some(33)));
        assert_eq!(found(&mut own().chain(other(0))), Some(None));
        assert_eq!(found(&mut own()), Some(None));
        assert_eq!(found(&mut std::iter::empty()), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_opener_of_a_real_connection_is_found() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let own = listener.local_addr().unwrap();
        let me = rustix::process::geteuid().as_raw();
        // A program may use an IPv6 socket for IPv4.
        let mapped = SocketAddr::new(Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(), own.port());
        for to in [own, mapped] {
            let _client = std::net::TcpStream::connect(to).unwrap();
            let (_server, peer) = listener.accept().unwrap();
            let users = users_connected_to(own).unwrap();
            assert_eq!(users.get(&peer), Some(&me), "{to}");
        }
    }

    #[test]
    fn a_listener_accepts_connections_to_its_address_or_to_all() {
        let covers = |listens: &str, address: &str| {
            let listener = LocalListener {
                address: listens.parse().unwrap(),
                waiting: 0,
                process: None,
            };
            listener.covers(address.parse().unwrap())
        };
        assert!(covers("0.0.0.0", "127.0.0.1") && covers("::", "127.0.0.1") && covers("::1", "::1"));
        assert!(!covers("0.0.0.0", "::1") && !covers("10.0.3.17", "127.0.0.1"));
    }

    #[test]
    fn processes_that_only_forward_are_recognised() {
        let forwarder = |process: &str| {
            let listener = LocalListener {
                address: Ipv4Addr::LOCALHOST.into(),
                waiting: 0,
                process: Some(process.into()),
            };
            listener.forwarder()
        };
        for process in ["ssh", "docker-proxy", "kubectl", "haproxy"] {
            assert!(forwarder(process).is_some(), "{process}");
        }
        assert_eq!(forwarder("redis-server"), None);
    }
}
