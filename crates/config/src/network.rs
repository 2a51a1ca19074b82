//! Networks of addresses in the configuration.

use std::net::IpAddr;

use ipnet::IpNet;

/// The network that `text` names: `192.0.2.0/24`, `2001:db8::/32`, or one address.
pub fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_an_address_with_or_without_a_length() {
        for (text, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.9", "192.0.3.9"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("2001:db8::/32", "2001:db8::1", "2001:db9::1"),
        ] {
            let network = network(text).expect("a network");
            let contains = |address: &str| network.contains(&address.parse::<IpAddr>().expect("an address"));
            assert!(contains(inside) && !contains(outside), "{text}");
        }
        for wrong in ["", "192.0.2", "192.0.2.0/33", "proxy.example.org", "10/8"] {
            assert_eq!(network(wrong), None, "{wrong}");
        }
    }
}
