//! The annotation `org.minirunc.network`: what the container's network namespace is connected to.

use super::Translation;
use super::namespaces::{NEWNET, is_interface};
use super::strings::{MOST, put, said};
use crate::error::Result;
use crate::plan::namespace::{Bridge, NETWORK};
use crate::text::{PathBuf, address, digits};
use crate::wire::json::Node;

const MALFORMED: &str = "expected none, host or bridge[,name=NAME][,address=A.B.C.D/N][,gateway=A.B.C.D]";

/// 172.18.0.1, and the bits of its subnet.
const GATEWAY: u32 = 0xac12_0001;
const PREFIX: u32 = 16;

impl Translation<'_, '_> {
    #[inline(never)]
    pub(super) fn bridge(&mut self, annotations: &Node<'_>) -> Result<()> {
        let node = annotations.at(NETWORK)?;
        let Some(text) = said(&node)? else { return Ok(()) };
        let text = text.c_str(MOST, &mut &mut *self.scratch)?.to_bytes();
        let mut name = PathBuf::from_bytes(b"minirunc0").unwrap_or_default();
        let bridge = match text {
            b"none" | b"host" => None,
            _ => Some(wanted(text, &mut name).map_err(|reason| node.refuse(reason))?),
        };
        match text {
            b"host" if self.namespaces.has(NEWNET) => {
                Err(node.refuse("there is a network namespace in linux.namespaces"))
            }
            b"host" => Ok(()),
            _ if !self.namespaces.makes(NEWNET) => {
                Err(node.refuse("there is no new network namespace in linux.namespaces"))
            }
            _ => bridge.map_or(Ok(()), |bridge| {
                put(&mut self.writer, &node, Bridge { name: name.as_cstr(), ..bridge })
            }),
        }
    }
}

/// What is said of a bridge: words of which each is optional. Only the name goes elsewhere.
fn wanted(text: &[u8], name: &mut PathBuf) -> core::result::Result<Bridge<'static>, &'static str> {
    let (mut own, mut gateway, mut prefix) = (None, None, None);
    let mut words = text.split(|&byte| byte == b',');
    if words.next() != Some(b"bridge") {
        return Err(MALFORMED);
    }
    for word in words {
        if let Some(value) = word.strip_prefix(b"name=") {
            // The kernel would make a name of a template.
            if !is_interface(value) || value.contains(&b'%') {
                return Err("not the name of a network interface");
            }
            name.truncate(0);
            let _ = name.push(value);
            continue;
        }
        let (place, value) = match (word.strip_prefix(b"address="), word.strip_prefix(b"gateway=")) {
            (Some(value), _) => (&mut own, value),
            (_, Some(value)) => (&mut gateway, value),
            _ => return Err(MALFORMED),
        };
        let mut parts = value.split(|&byte| byte == b'/');
        *place = Some(parts.next().and_then(address).ok_or(MALFORMED)?);
        if let Some(bits) = parts.next() {
            let bits = digits(bits).filter(|bits| (8..=30).contains(bits) && parts.next().is_none());
            let bits = bits.ok_or("expected a subnet of 8 to 30 bits")?;
            if prefix.replace(bits).is_some_and(|other| other != bits) {
                return Err("address and gateway have different subnets");
            }
        }
    }
    let prefix = prefix.unwrap_or(PREFIX);
    let hosts = u32::MAX >> prefix;
    let gateway = gateway.or(own.map(|own| own & !hosts | 1)).unwrap_or(GATEWAY);
    // The first is the subnet's own name, the last reaches all.
    let is_host = |address: u32| (1..hosts).contains(&(address & hosts));
    match own {
        _ if !is_host(gateway) => Err("the gateway is no host of its subnet"),
        Some(own) if (own ^ gateway) & !hosts != 0 => Err("the address is outside of the gateway's subnet"),
        Some(own) if !is_host(own) => Err("the address is no host of its subnet"),
        Some(own) if own == gateway => Err("the address is the gateway's"),
        address => Ok(Bridge { name: c"", gateway, prefix, address }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    /// What the plan has of it, or why not.
    fn plan(text: &str) -> core::result::Result<std::string::String, &'static str> {
        let mut name = PathBuf::from_bytes(b"minirunc0").unwrap();
        let bridge = wanted(text.as_bytes(), &mut name)?;
        Ok(format!("{}", crate::plan::Noun::view(&Bridge { name: name.as_cstr(), ..bridge })))
    }

    #[test]
    fn what_a_bridge_is_not_asked_for_it_has_by_itself() {
        for (text, expected) in [
            ("bridge", " name=minirunc0 gateway=172.18.0.1 prefix=16"),
            ("bridge,name=b", " name=b gateway=172.18.0.1 prefix=16"),
            ("bridge,gateway=10.0.0.9", " name=minirunc0 gateway=10.0.0.9 prefix=16"),
            ("bridge,gateway=10.0.0.9/30", " name=minirunc0 gateway=10.0.0.9 prefix=30"),
            ("bridge,address=10.0.7.9/8", " name=minirunc0 gateway=10.0.0.1 prefix=8 address=10.0.7.9"),
            (
                "bridge,address=1.2.3.4,gateway=1.2.3.5/24",
                " name=minirunc0 gateway=1.2.3.5 prefix=24 address=1.2.3.4",
            ),
        ] {
            assert_eq!(plan(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn addresses_have_to_fit_together() {
        for (text, reason) in [
            ("bridge,address=10.0.0.0/8", "the address is no host of its subnet"),
            ("bridge,address=10.255.255.255/8", "the address is no host of its subnet"),
            ("bridge,gateway=10.0.0.3/30", "the gateway is no host of its subnet"),
            ("bridge,gateway=10.0.0.1,address=10.0.0.1", "the address is the gateway's"),
            ("bridge,gateway=10.0.0.1,address=10.1.0.1", "the address is outside of the gateway's subnet"),
            ("bridge,gateway=10.0.0.1/24,address=10.0.0.2/25", "address and gateway have different subnets"),
            ("bridge,gateway=10.0.0.1/31", "expected a subnet of 8 to 30 bits"),
            ("bridge,gateway=10.0.0.1/x", "expected a subnet of 8 to 30 bits"),
            ("bridge,gateway=10.0.0.1/16/16", "expected a subnet of 8 to 30 bits"),
            ("bridge,gateway=10.0.0.1/+8", "expected a subnet of 8 to 30 bits"),
            ("bridges", MALFORMED),
            ("bridge,", MALFORMED),
            ("bridge,gateway", MALFORMED),
        ] {
            assert_eq!(plan(text), Err(reason), "{text}");
        }
    }
}
