//! Which network addresses a webhook may reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which addresses are refused besides those that always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRules {
    /// This machine's own addresses.
    pub disable_loopback: bool,
    /// Addresses of private networks.
    pub disable_private_ips: bool,
}

impl AddressRules {
    /// Whether a webhook may reach this address.
    pub fn allow(&self, address: IpAddr) -> bool {
        let address = plain(address);
        !(is_always_blocked(address)
            || self.disable_loopback && address.is_loopback()
            || self.disable_private_ips && (address.is_loopback() || is_private(address)))
    }
}

/// Whether every webhook to this address is refused: link-local addresses, which include cloud metadata services, other
/// metadata addresses, and addresses that do not name a single machine.
pub fn is_always_blocked(address: IpAddr) -> bool {
    match plain(address) {
        IpAddr::V4(v4) => {
            const METADATA: [Ipv4Addr; 3] =
                [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];
            let first = v4.octets()[0];
            // 0/8 is this network, 240/4 is reserved and holds the broadcast address.
            first == 0 || first >= 240 || v4.is_link_local() || v4.is_multicast() || METADATA.contains(&v4)
        }
        IpAddr::V6(v6) => {
            const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
            // 2001::/32 is Teredo, whose addresses embed another address.
            let tunnelled = v6.segments()[..2] == [0x2001, 0];
            v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local() || tunnelled || v6 == METADATA
        }
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            // Carriers' shared addresses, protocol assignments, and benchmarks' networks.
            v4.is_private() || (a == 100 && b & 0xc0 == 64) || (a, b, c) == (192, 0, 0) || (a == 198 && b & 0xfe == 18)
        }
        // fec0::/10 is the deprecated predecessor of fc00::/7.
        IpAddr::V6(v6) => v6.is_unique_local() || v6.segments()[0] & 0xffc0 == 0xfec0,
    }
}

/// The IPv4 address that an IPv6 address carries, if it carries one; else the address itself.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let segments = v6.segments();
    let last = || {
        let [.., a, b, c, d] = v6.octets();
        Ipv4Addr::new(a, b, c, d)
    };
    let carried = match segments {
        // ::1 and :: are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        // Mapped, translated and compatible addresses.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0, 0, 0, 0, 0, 0, ..] => Some(last()),
        // NAT64: the well-known prefix, and the one for local use.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] => Some(last()),
        // 6to4.
        [0x2002, high, low, ..] => Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))),
        _ => None,
    };
    carried.map_or(address, IpAddr::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(disable_loopback: bool, disable_private_ips: bool, addresses: &[&str]) -> Vec<String> {
        let rules = AddressRules { disable_loopback, disable_private_ips };
        let found = addresses.iter().filter(|text| rules.allow(text.parse().unwrap()));
        found.map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn some_addresses_are_always_blocked() {
        let addresses = [
            "169.254.169.254",
            "169.254.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "2001:0:1::1",
            "::ffff:0:169.254.169.254",
            "::ffff:0.0.0.0",
        ]; // fmt: skip
        assert!(allowed(false, false, &addresses).is_empty());
    }

    #[test]
    fn loopback_and_private_addresses_are_blocked_when_they_are_to_be() {
        let own = ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"];
        let private = [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "192.0.0.1",
            "fc00::1",
            "fdff::1",
            "fec0::1",
            "::ffff:10.0.0.1",
            "2002:0a00:1::",
        ]; // fmt: skip
        let public = ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "192.0.2.1", "::ffff:8.8.8.8"];
        assert_eq!(allowed(false, false, &own), own);
        assert_eq!(allowed(true, false, &own), [""; 0]);
        assert_eq!(allowed(true, false, &private), private);
        assert_eq!(allowed(false, true, &private), [""; 0]);
        assert_eq!(allowed(false, true, &own), [""; 0]);
        assert_eq!(allowed(true, true, &public), public);
    }
}
