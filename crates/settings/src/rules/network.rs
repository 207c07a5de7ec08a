//! Addresses, networks and origins.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::{Describe, Rejection, Rule};
use crate::origin::Origin;

/// An address and port to listen on.
pub(crate) struct ListenAddress;

impl Describe for ListenAddress {
    fn describe(&self) -> String {
        "an IP address and a port".to_owned()
    }
}

impl Rule for ListenAddress {
    type Value = SocketAddr;

    fn read(&self, text: &str) -> Result<SocketAddr, Rejection> {
        text.parse().map_err(|_| {
            let completed = if let Ok(address) = text.parse::<IpAddr>() {
                Some(SocketAddr::new(address, 4000).to_string())
            } else if let Some(port) = text.strip_prefix("localhost:") {
                Some(format!("127.0.0.1:{port}"))
            } else if let Some(port) = text.strip_prefix(':') {
                Some(format!("0.0.0.0:{port}"))
            } else {
                Some(format!("127.0.0.1:{text}"))
            };
            Rejection { reason: None, nearest: completed.filter(|text| text.parse::<SocketAddr>().is_ok()) }
        })
    }
}

/// One origin.
pub(crate) struct OriginRule;

impl Describe for OriginRule {
    fn describe(&self) -> String {
        "`http://` or `https://`, a host and perhaps a port, without a path".to_owned()
    }
}

impl Rule for OriginRule {
    type Value = Origin;

    fn read(&self, text: &str) -> Result<Origin, Rejection> {
        Origin::parse(text).map_err(|nearest| Rejection { reason: None, nearest })
    }
}

/// Origins, separated by commas. Each is written out: a wildcard would let any site read answers meant for its visitor.
pub(crate) struct Origins;

impl Describe for Origins {
    fn describe(&self) -> String {
        "origins such as `https://app.example.com`, separated by commas, no wildcards".to_owned()
    }
}

impl Rule for Origins {
    type Value = Vec<Origin>;

    fn read(&self, text: &str) -> Result<Vec<Origin>, Rejection> {
        each(text, |part| {
            Origin::parse(part).map_err(|nearest| (format!("`{part}` is not an origin"), nearest))
        })
    }
}

/// Networks in CIDR notation or single addresses, separated by commas.
pub(crate) struct Networks;

impl Describe for Networks {
    fn describe(&self) -> String {
        "addresses or CIDR networks such as `10.0.0.0/8`, separated by commas".to_owned()
    }
}

impl Rule for Networks {
    type Value = Vec<IpNet>;

    fn read(&self, text: &str) -> Result<Vec<IpNet>, Rejection> {
        each(text, |part| {
            let address = part.parse::<IpAddr>().map(IpNet::from).ok();
            let network = address.or_else(|| part.parse::<IpNet>().ok());
            network.ok_or_else(|| {
                let host = part.split_once('/').and_then(|(host, _)| host.parse::<IpAddr>().ok());
                (format!("`{part}` is not a network"), host.map(|host| host.to_string()))
            })
        })
    }
}

/// Reads the parts of a list. A fault names every wrong part; the nearest value is the list with those parts mended,
/// when all can be.
pub(super) fn each<T>(
    text: &str,
    read: impl Fn(&str) -> Result<T, (String, Option<String>)>,
) -> Result<Vec<T>, Rejection> {
    let (mut values, mut reasons, mut mended) = (Vec::new(), Vec::new(), Vec::new());
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match read(part) {
            Ok(value) => {
                values.push(value);
                mended.push(Some(part.to_owned()));
            }
            Err((reason, nearest)) => {
                reasons.push(reason);
                mended.push(nearest);
            }
        }
    }
    if reasons.is_empty() {
        return Ok(values);
    }
    let nearest = mended.into_iter().collect::<Option<Vec<_>>>().map(|parts| parts.join(","));
    Err(Rejection { reason: Some(reasons.join(" and ")), nearest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incomplete_listen_addresses_are_completed() {
        for (text, nearest) in [
            ("localhost:4000", Some("127.0.0.1:4000")),
            (":8080", Some("0.0.0.0:8080")),
            ("8080", Some("127.0.0.1:8080")),
            ("::1", Some("[::1]:4000")),
            ("0.0.0.0", Some("0.0.0.0:4000")),
            ("127.0.0.1:99999", None),
        ] {
            let expected = Rejection { reason: None, nearest: nearest.map(str::to_owned) };
            assert_eq!(ListenAddress.read(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_list_reports_every_wrong_part_and_mends_what_it_can() {
        assert_eq!(Networks.read("10.0.0.0/8, ::1,").unwrap().len(), 2);
        let rejection = Networks.read("10.0.0.0/8,10.1.1.1/99,192.168.0.0/x").unwrap_err();
        assert_eq!(
            rejection.reason.as_deref(),
            Some("`10.1.1.1/99` is not a network and `192.168.0.0/x` is not a network")
        );
        assert_eq!(rejection.nearest.as_deref(), Some("10.0.0.0/8,10.1.1.1,192.168.0.0"));
    }

    #[test]
    fn a_wildcard_is_no_origin() {
        assert!(Origins.read("*").is_err());
        assert_eq!(
            Origins.read("https://a.example/app").unwrap_err().nearest.as_deref(),
            Some("https://a.example")
        );
    }
}
