//! Which addresses the server may connect to when a person names a host: the public ones, and those of networks that the
//! operator has allowed. Otherwise anybody who may make a dagger could reach what only the server can reach.
//!
//! Names are resolved here, every address that a name has is checked, and the connection goes to one of those.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// A network such as `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no network; write for example `10.0.0.0/8`, `fd00::/8` or `192.168.1.7`")]
pub struct NetworkError {
    text: String,
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || NetworkError { text: text.to_owned() };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| error())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            None => bits,
            Some(prefix) => prefix.trim().parse().ok().filter(|prefix| *prefix <= bits).ok_or_else(error)?,
        };
        Ok(Self { address, prefix_bits })
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix_bits)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix_bits)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// Which addresses may be connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    allowed: Vec<Network>,
}

/// An address that may not be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forbidden {
    host: String,
    address: IpAddr,
    range: &'static str,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, address, range } = self;
        let at =
            if *host == address.to_string() { format!("`{host}` is") } else { format!("`{host}` is at {address},") };
        write!(
            formatter,
            "{at} {range}, which sinks may not reach; the operator allows it by `millrace up --sink-networks {address}`"
        )
    }
}

impl std::error::Error for Forbidden {}

impl AddressPolicy {
    /// The public addresses, and those in one of these networks.
    pub fn allowing(networks: impl IntoIterator<Item = Network>) -> Self {
        Self { allowed: networks.into_iter().collect() }
    }

    pub(crate) fn check(&self, host: &str, address: IpAddr) -> Result<(), Forbidden> {
        // An IPv4 address in the clothes of an IPv6 address is reached as the former.
        let plain = address.to_canonical();
        match range_of(plain) {
            Some(range) if !self.allowed.iter().any(|network| network.contains(plain)) => {
                Err(Forbidden { host: host.to_owned(), address: plain, range })
            }
            _ => Ok(()),
        }
    }
}

/// What an address is if it is not one of a public server.
fn range_of(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => range_of_v4(address),
        IpAddr::V6(address) => range_of_v6(address),
    }
}

/// https://www.iana.org/assignments/iana-ipv4-special-registry
fn range_of_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [0, ..] => Some("an address of this host itself"),
        [127, ..] => Some("a loopback address"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some("a private address"),
        [169, 254, ..] => Some("a link-local address, where clouds keep credentials of machines"),
        [100, 64..=127, ..] => Some("an address of a shared network"),
        [192, 0, 0, _] | [198, 18..=19, ..] | [240..=255, ..] => Some("a reserved address"),
        [224..=239, ..] => Some("a multicast address"),
        _ => None,
    }
}

/// https://www.iana.org/assignments/iana-ipv6-special-registry
fn range_of_v6(address: Ipv6Addr) -> Option<&'static str> {
    let embedded = |high: u16, low: u16| range_of_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("an address of this host itself"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("a loopback address"),
        [0xfc00..=0xfdff, ..] => Some("a private address"),
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xfec0..=0xfeff, ..] => Some("a private address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        [0x2001, 0, ..] => Some("a reserved address"),
        // Translated to IPv4 on the way.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            embedded(high, low)
        }
        _ => None,
    }
}

/// Resolves names to addresses that may be connected to.
pub(crate) struct CheckedResolver {
    pub policy: AddressPolicy,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.policy.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            for address in &addresses {
                policy.check(&host, address.ip())?;
            }
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &AddressPolicy, address: &str) -> bool {
        policy.check("host", address.parse().unwrap()).is_ok()
    }

    #[test]
    fn only_public_addresses_can_be_reached() {
        let policy = AddressPolicy::default();
        for public in ["8.8.8.8", "1.1.1.1", "172.32.0.1", "169.253.1.1", "2606:4700::1111", "64:ff9b::808:808"] {
            assert!(check(&policy, public), "{public}");
        }
        for other in [
            "127.0.0.1",
            "127.8.9.10",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.169.254",
            "100.100.100.200",
            "192.0.0.192",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "::",
            "::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "::7f00:1",
            "2002:7f00:1::",
            "2001::1",
        ] {
            assert!(!check(&policy, other), "{other}");
        }
    }

    #[test]
    fn the_operator_allows_networks() {
        let networks = ["127.0.0.0/8", "192.168.1.7", "fd00::/8"].map(|text| text.parse().unwrap());
        let policy = AddressPolicy::allowing(networks);
        for allowed in ["127.0.0.1", "::ffff:127.0.0.1", "192.168.1.7", "fd12::1"] {
            assert!(check(&policy, allowed), "{allowed}");
        }
        for other in ["192.168.1.8", "10.0.0.1", "fc00::1", "169.254.169.254", "::1"] {
            assert!(!check(&policy, other), "{other}");
        }
        assert!(check(&AddressPolicy::allowing(["0.0.0.0/0".parse().unwrap()]), "10.0.0.1"));
    }

    #[test]
    fn networks_are_read() {
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "fd00::/129", "host", "10.0.0.0/-1", "10.0.0.0/"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn every_address_of_a_name_is_checked() {
        let resolver = CheckedResolver { policy: AddressPolicy::default() };
        let error = resolver.resolve("localhost".parse().unwrap()).await.err().expect("localhost is loopback");
        assert!(error.to_string().contains("a loopback address, which sinks may not reach"), "{error}");
        let networks = ["127.0.0.0/8", "::1"].map(|text| text.parse().unwrap());
        let resolver = CheckedResolver { policy: AddressPolicy::allowing(networks) };
        assert!(resolver.resolve("localhost".parse().unwrap()).await.is_ok());
    }
}
