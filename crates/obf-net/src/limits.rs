//! How many connections, handshakes or look-ups there may be at once: in all, and from one source.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// Limits of one listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// At once, in all.
    pub total: usize,
    /// At once, from one source address (IPv6: from one /64).
    pub per_source: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { total: 10_000, per_source: 1_000 }
    }
}

/// Hands out permits within the limits.
#[derive(Clone, Debug)]
pub struct Gate {
    limits: ConnectionLimits,
    open: Arc<Mutex<OpenConnections>>,
}

#[derive(Debug, Default)]
struct OpenConnections {
    total: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    source: IpAddr,
    open: Arc<Mutex<OpenConnections>>,
}

impl Gate {
    /// A gate that nobody has passed yet.
    pub fn new(limits: ConnectionLimits) -> Self {
        Self { limits, open: Arc::default() }
    }

    /// A place for `source`, or `None` where a limit is reached.
    pub fn admit(&self, source: IpAddr) -> Option<Permit> {
        let source = source_network(source);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= self.limits.total {
            return None;
        }
        let of_source = open.by_source.entry(source).or_default();
        if *of_source >= self.limits.per_source {
            return None;
        }
        *of_source += 1;
        open.total += 1;
        Some(Permit { source, open: Arc::clone(&self.open) })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        if let Some(of_source) = open.by_source.get_mut(&self.source) {
            *of_source = of_source.saturating_sub(1);
            if *of_source == 0 {
                open.by_source.remove(&self.source);
            }
        }
    }
}

/// Whose limits a source address shares. One host has a /64 of IPv6 addresses to itself, so that is one source; an IPv4
/// address is one, however it is written.
pub fn source_network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(std::net::Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_and_places_come_back() {
        let gate = Gate::new(ConnectionLimits { total: 3, per_source: 2 });
        let [a, b]: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "::ffff:127.0.0.2".parse().unwrap()];
        let first = gate.admit(a).unwrap();
        let _second = gate.admit(a).unwrap();
        assert!(gate.admit(a).is_none());
        let _third = gate.admit(b).unwrap();
        assert!(gate.admit(b).is_none(), "in all");
        drop(first);
        assert!(gate.admit(a).is_some());
    }

    #[test]
    fn one_ipv6_network_is_one_source() {
        let gate = Gate::new(ConnectionLimits { total: 9, per_source: 1 });
        let _held = gate.admit("2001:db8::1".parse().unwrap()).unwrap();
        assert!(gate.admit("2001:db8::2".parse().unwrap()).is_none());
        assert!(gate.admit("2001:db8:0:1::1".parse().unwrap()).is_some());
    }
}
