//! Sets of client addresses: single ones and CIDR ranges, as `remote_addrs` (7.3) and the operator `ipmatch` have them.
//!
//! An address is refused with APISIX's text; a prefix that is too long for its address is refused, too.

use bytes::Bytes;
use std::net::IpAddr;

/// An address as nginx writes it; an IPv4 address that came in through an IPv6 socket counts as IPv4.
pub fn text(address: IpAddr) -> Bytes {
    match address.to_canonical() {
        // In every request that goes out: formatting costs five times as much.
        IpAddr::V4(address) => {
            let (mut text, mut length) = ([0; 15], 0);
            let mut push = |byte| {
                text[length] = byte;
                length += 1;
            };
            for (place, octet) in address.octets().into_iter().enumerate() {
                if place > 0 {
                    push(b'.');
                }
                if octet >= 100 {
                    push(b'0' + octet / 100);
                }
                if octet >= 10 {
                    push(b'0' + octet / 10 % 10);
                }
                push(b'0' + octet % 10);
            }
            Bytes::copy_from_slice(&text[..length])
        }
        IpAddr::V6(address) => address.to_string().into(),
    }
}

/// Addresses and ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses(Vec<Range>);

/// The addresses that begin with the bits of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    V4 { bits: u32, mask: u32 },
    V6 { bits: u128, mask: u128 },
}

impl Addresses {
    /// All of these, or what is wrong with the first one that is none.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let ranges = texts.into_iter().map(|text| range(text).ok_or_else(|| invalid(text)));
        ranges.collect::<Result<_, _>>().map(Self)
    }

    /// Whether an address is one of these. An IPv4 address that came in through an IPv6 socket counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let address = u32::from(address);
                self.0.iter().any(|range| matches!(range, Range::V4 { bits, mask } if address & mask == *bits))
            }
            IpAddr::V6(address) => {
                let address = u128::from(address);
                self.0.iter().any(|range| matches!(range, Range::V6 { bits, mask } if address & mask == *bits))
            }
        }
    }
}

fn invalid(text: &str) -> String {
    format!("invalid ip address: {}", text.split('/').next().unwrap_or_default())
}

fn range(text: &str) -> Option<Range> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let address = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    match address.parse().ok()? {
        IpAddr::V4(address) => {
            let host = 32_u32.checked_sub(length.unwrap_or(32))?;
            let mask = u32::MAX.checked_shl(host).unwrap_or(0);
            Some(Range::V4 { bits: u32::from(address) & mask, mask })
        }
        IpAddr::V6(address) => {
            let host = 128_u32.checked_sub(length.unwrap_or(128))?;
            let mask = u128::MAX.checked_shl(host).unwrap_or(0);
            Some(Range::V6 { bits: u128::from(address) & mask, mask })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_an_address_is_the_usual_one() {
        for address in ["0.0.0.0", "1.20.103.255", "10.0.9.99", "127.0.0.1", "255.255.255.255", "::1", "fe80::1:2"] {
            assert_eq!(text(address.parse().expect("an address")), address);
        }
        assert_eq!(text("::ffff:10.0.0.1".parse().expect("an address")), "10.0.0.1");
    }

    /// Section 7.3: `remote_addr(s)` are addresses or CIDR ranges.
    #[test]
    fn addresses_and_ranges_of_both_families() {
        let set = Addresses::parse(["127.0.0.1", "10.1.2.3/8", "::1", "fe80::1/10", "192.168.0.0/31"]).expect("valid");
        for inside in ["127.0.0.1", "10.255.0.1", "::1", "febf::9", "192.168.0.1", "::ffff:10.0.0.1"] {
            assert!(set.contains(inside.parse().expect("an address")), "{inside}");
        }
        for outside in ["127.0.0.2", "11.0.0.1", "::2", "fec0::1", "192.168.0.2"] {
            assert!(!set.contains(outside.parse().expect("an address")), "{outside}");
        }
        let all = Addresses::parse(["0.0.0.0/0"]).expect("valid");
        assert!(all.contains("203.0.113.9".parse().expect("an address")));
        assert!(!all.contains("::1".parse().expect("an address")));
    }

    /// The text is the address matcher's own, which APISIX's answers end with.
    #[test]
    fn what_is_no_address_is_named() {
        for (text, name) in [("nowhere", "nowhere"), ("10.0.0.1/33", "10.0.0.1"), ("::1/129", "::1"), ("", "")] {
            assert_eq!(Addresses::parse([text]), Err(format!("invalid ip address: {name}")));
        }
    }
}
