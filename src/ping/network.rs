//! Ranges of addresses, and those that this host's routing tables hold.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of addresses, as `10.0.0.0/16` names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    base: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads `BASE/BITS`.
    pub(super) fn parse(range: &str) -> Option<Self> {
        let (base, bits) = range.trim().split_once('/')?;
        let base: IpAddr = base.parse().ok()?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.parse().ok().filter(|bits| *bits <= most)?;
        Some(Self { base, bits })
    }

    /// Whether the address lies in it.
    pub(super) fn holds(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let differing = u32::from(base) ^ u32::from(address);
                differing.leading_zeros() >= self.bits
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let differing = u128::from(base) ^ u128::from(address);
                differing.leading_zeros() >= self.bits
            }
            _ => false,
        }
    }
}

/// A route that refuses (`RTF_REJECT` of `route.h`).
const REJECT: u32 = 0x0200;

/// The networks of the routing table (`proc_pid_net(5)`), without the default route and routes that refuse.
pub(super) fn networks_v4(table: &str) -> Vec<Network> {
    let network = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok();
        let (base, flags, mask) = (number(1)?.swap_bytes(), number(3)?, number(7)?.swap_bytes());
        (mask != 0 && flags & REJECT == 0).then_some(Network {
            base: Ipv4Addr::from(base).into(),
            bits: mask.leading_ones(),
        })
    };
    table.lines().skip(1).filter_map(network).collect()
}

/// The same of `/proc/net/ipv6_route`: destination and its length in hexadecimals first, the flags ninth.
pub(super) fn networks_v6(table: &str) -> Vec<Network> {
    let network = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let base = u128::from_str_radix(fields.first()?, 16).ok()?;
        let bits = u32::from_str_radix(fields.get(1)?, 16).ok()?;
        let flags = u32::from_str_radix(fields.get(8)?, 16).ok()?;
        (bits != 0 && flags & REJECT == 0).then_some(Network {
            base: Ipv6Addr::from(base).into(),
            bits,
        })
    };
    table.lines().filter_map(network).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(networks: &[Network], address: &str) -> bool {
        let address = address.parse().unwrap();
        networks.iter().any(|network| network.holds(address))
    }

    #[test]
    fn a_default_route_makes_no_address_near() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            eth0\t0000000A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        let networks = networks_v4(table);
        assert!(holds(&networks, "10.0.3.17"));
        assert!(!holds(&networks, "10.1.3.17"));
    }

    #[test]
    fn routes_of_ipv6_are_read_without_the_default_and_those_that_refuse() {
        let zero = "0".repeat(32);
        let route = |to: &str, bits: &str, flags: &str| {
            format!("{to} {bits} {zero} 00 {zero} 00000400 00000001 00000000 {flags}     eth0\n")
        };
        let table = [
            route("fd770001000000000000000000000000", "40", "00000001"),
            route(&zero, "00", "00450003"),
            route("fd770002000000000000000000000000", "40", "00200200"),
        ]
        .concat();
        let networks = networks_v6(&table);
        assert!(holds(&networks, "fd77:1::2"));
        assert!(!holds(&networks, "fd77:2::2"));
    }

    #[test]
    fn ranges_are_read_and_held_against_addresses() {
        let network = |range: &str| vec![Network::parse(range).unwrap()];
        assert!(holds(&network("172.31.0.0/16"), "172.31.9.9"));
        assert!(!holds(&network("172.31.0.0/16"), "172.30.9.9"));
        assert!(holds(&network("0.0.0.0/0"), "1.2.3.4"));
        assert!(holds(&network("2600:1f18::/32"), "2600:1f18:0:1::9"));
        assert!(!holds(&network("2600:1f18::/32"), "10.0.0.1"));
        assert_eq!(Network::parse("x/99"), None);
        assert_eq!(Network::parse("10.0.0.0/33"), None);
    }
}
