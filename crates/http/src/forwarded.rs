//! The client's address, seen through proxies that we trust.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// The right-most hop that is no trusted proxy of ours. `forwarded_for` are the values of the `X-Forwarded-For` fields
/// in the order of the request; they count only when the peer is a trusted proxy. An entry that is no address ends
/// the search: what stands left of it was written by somebody we know nothing about.
pub(crate) fn client_address(
    peer: Option<IpAddr>,
    forwarded_for: &[&[u8]],
    trusted: &[IpNet],
) -> Option<IpAddr> {
    let mut client = canonical(peer?);
    for hop in forwarded_for.iter().rev().flat_map(|value| value.rsplit(|byte| *byte == b',')) {
        if !trusted.iter().any(|network| network.contains(&client)) {
            break;
        }
        match parse(hop) {
            Some(address) => client = address,
            None => break,
        }
    }
    Some(client)
}

fn parse(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(canonical)
}

/// One spelling for an address: an IPv4 client of a dual-stack socket is an IPv4 client.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded_for: &[&str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        let values: Vec<&[u8]> = forwarded_for.iter().map(|value| value.as_bytes()).collect();
        client_address(Some(peer.parse().unwrap()), &values, &trusted).unwrap().to_string()
    }

    #[test]
    fn an_untrusted_peer_cannot_choose_its_address() {
        assert_eq!(client("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
    }

    #[test]
    fn the_right_most_untrusted_hop_is_the_client() {
        assert_eq!(client("10.0.0.1", &["6.6.6.6, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["6.6.6.6, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["6.6.6.6", "198.51.100.1,10.0.0.2"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    }

    #[test]
    fn what_is_no_address_is_not_looked_past() {
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["not-an-address"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["6.6.6.6, unknown"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["<script>, 198.51.100.1"]), "198.51.100.1");
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_understood() {
        assert_eq!(client("10.0.0.1", &["198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(client("::ffff:10.0.0.1", &["[2001:db9::1]:443"]), "2001:db9::1");
        assert_eq!(client("2001:db8::7", &["[2001:db9::1]"]), "2001:db9::1");
        assert_eq!(client("10.0.0.1", &["::ffff:198.51.100.1"]), "198.51.100.1");
    }
}
