//! Networks of addresses, and the viewer's address behind proxies.

use core::net::IpAddr;

use ipnet::IpNet;

/// Most entries of `X-Forwarded-For` or `Forwarded` that are read, from the right: each is a proxy that one must trust.
const HOPS_MAX: usize = 16;

/// Addresses and blocks of them: `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network(Vec<IpNet>);

/// A text that is neither an address nor a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address and no block of addresses (as 192.0.2.0/24 or 2001:db8::/32)")]
pub struct NetworkError(pub String);

impl Network {
    /// Reads each block; bits behind the prefix are taken off.
    pub fn new<'a>(blocks: impl IntoIterator<Item = &'a str>) -> Result<Self, NetworkError> {
        let one = |text: &str| {
            let block = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            block.map(|block| block.trunc()).map_err(|_| NetworkError(text.to_owned()))
        };
        blocks.into_iter().map(|text| one(text.trim())).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the address is in it. An IPv4 address in IPv6's clothes (RFC 4291 §2.5.5.2) is the IPv4 address. The unspecified
    /// address is nobody's, and in no network.
    pub fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        !address.is_unspecified() && self.0.iter().any(|block| block.contains(&address))
    }

    /// Whether a block of it has all addresses of one family.
    pub fn is_everybody(&self) -> bool {
        self.0.iter().any(|block| block.prefix_len() == 0)
    }

    /// Whether it has no addresses at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The viewer's address: that of the connection, or, where this belongs to a trusted proxy, what the proxy says. Each proxy
/// appends the address that it saw, so the list is read from its end, and the first address that is no trusted proxy's is the
/// viewer's; whatever stands before it anybody may have written. `None` if nobody who is trusted says where the viewer is.
///
/// `forwarded` are the values of `Forwarded` (RFC 7239 §5.2), `x_forwarded_for` those of `X-Forwarded-For`, each in the order of
/// the fields. Proxies write one of them, and pass the other on as a viewer wrote it: if both are there, none is believed.
pub fn viewer_address<'a>(
    peer: IpAddr,
    trusted: &Network,
    forwarded: impl IntoIterator<Item = &'a str>,
    x_forwarded_for: impl IntoIterator<Item = &'a str>,
) -> Option<IpAddr> {
    if !trusted.has(peer) {
        return Some(peer);
    }
    let standard: Vec<&str> = forwarded.into_iter().flat_map(|field| field.split(',')).collect();
    let usual: Vec<&str> = x_forwarded_for.into_iter().flat_map(|field| field.split(',')).collect();
    if !standard.is_empty() && !usual.is_empty() {
        return None;
    }
    let hops = standard.iter().map(|hop| for_parameter(hop)).chain(usual.iter().map(|hop| Some(*hop)));
    for hop in hops.rev().take(HOPS_MAX) {
        // What a proxy does not tell (`unknown`, `_hidden`), or nobody can read, is where the trail ends.
        let address = node_address(hop?)?;
        if !trusted.has(address) {
            return Some(address);
        }
    }
    None
}

/// The value of `for=` in an element of `Forwarded`.
fn for_parameter(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"'))
    })
}

/// `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::7`, `[2001:db8::7]`, `[2001:db8::7]:4711` (RFC 7239 §6).
fn node_address(node: &str) -> Option<IpAddr> {
    let node = node.trim();
    let address = match node.strip_prefix('[') {
        Some(rest) => rest.split_once(']').and_then(|(address, _)| address.parse().ok()),
        None => node.parse().ok().or_else(|| node.split_once(':')?.0.parse().ok()),
    };
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn blocks_and_addresses() {
        let campus = Network::new(["192.0.2.9/24", "2001:db8::/32", "198.51.100.7"]).expect("networks");
        for inside in ["192.0.2.0", "192.0.2.255", "::ffff:192.0.2.1", "2001:db8::1", "198.51.100.7"] {
            assert!(campus.has(ip(inside)), "{inside}");
        }
        for outside in ["192.0.3.0", "2001:db9::1", "198.51.100.8", "::1"] {
            assert!(!campus.has(ip(outside)), "{outside}");
        }
        assert_eq!(Network::new(["192.0.2.0/33"]), Err(NetworkError("192.0.2.0/33".to_owned())));
        assert!(!Network::default().has(ip("127.0.0.1")));
    }

    #[test]
    fn a_proxy_is_believed_and_its_clients_are_not() {
        let trusted = Network::new(["10.0.0.0/8"]).expect("networks");
        let seen = |peer: &str, fields: &[&str]| {
            let address = viewer_address(ip(peer), &trusted, [], fields.iter().copied());
            address.map(|it| it.to_string()).unwrap_or_default()
        };
        assert_eq!(seen("10.0.0.1", &["192.0.2.7"]), "192.0.2.7");
        assert_eq!(seen("203.0.113.5", &["192.0.2.7"]), "203.0.113.5");
        // What the viewer wrote stands on the left.
        assert_eq!(seen("10.0.0.1", &["192.0.2.7, 203.0.113.5"]), "203.0.113.5");
        assert_eq!(seen("10.0.0.1", &["192.0.2.7", "203.0.113.5, 10.0.0.2"]), "203.0.113.5");
        assert_eq!(seen("10.0.0.1", &["[2001:db8::7]:4711"]), "2001:db8::7");
        for nothing in [&["192.0.2.7, unknown"][..], &[], &["10.0.0.3"], &[""], &["192.0.2.7", ""]] {
            assert_eq!(seen("10.0.0.1", nothing), "", "{nothing:?}");
        }
    }

    #[test]
    fn forwarded_as_its_standard_has_it() {
        let trusted = Network::new(["10.0.0.1"]).expect("networks");
        let seen = |field| viewer_address(ip("10.0.0.1"), &trusted, [field], []).map(|it| it.to_string());
        assert_eq!(seen("for=192.0.2.60;proto=http;by=203.0.113.43").as_deref(), Some("192.0.2.60"));
        assert_eq!(seen("For=\"[2001:db8:cafe::17]:4711\"").as_deref(), Some("2001:db8:cafe::17"));
        assert_eq!(seen("for=192.0.2.43, for=198.51.100.17").as_deref(), Some("198.51.100.17"));
        assert_eq!(seen("for=_hidden"), None);
        let both = viewer_address(ip("10.0.0.1"), &trusted, ["for=192.0.2.60"], ["203.0.113.5"]);
        assert_eq!(both, None, "one of them is the viewer's own word");
    }

    proptest! {
        #[test]
        fn nothing_that_a_viewer_writes_moves_it_into_a_network(written in "[ -~]{0,60}", also in "[ -~]{0,60}") {
            let trusted = Network::new(["10.0.0.0/8"]).expect("networks");
            let told = |peer, standard: &[&str], usual: &[&str]| {
                viewer_address(ip(peer), &trusted, standard.iter().copied(), usual.iter().copied())
            };
            let real = Some(ip("203.0.113.5"));
            // A proxy that appends to what came, or to the field.
            let joined = format!("{written}, 203.0.113.5");
            for fields in [&[written.as_str(), "203.0.113.5"][..], &[&joined]] {
                prop_assert_eq!(told("10.0.0.1", &[], fields), real);
                // The other field is passed on as it came.
                prop_assert_eq!(told("10.0.0.1", &[&also], fields), None);
                prop_assert_eq!(told("203.0.113.5", &[&also], fields), real);
            }
            let standard = format!("{also}, for=203.0.113.5");
            prop_assert_eq!(told("10.0.0.1", &[&standard], &[]), real);
            prop_assert_eq!(told("10.0.0.1", &[&standard], &[&written]), None);
        }
    }
}
