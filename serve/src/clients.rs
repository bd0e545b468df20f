//! Limits for each client: connections, and passwords that are hashed. Takes addresses, gives places, so that
//! no address uses up those of the others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

/// The clients that have a connection, by address. Their number is bounded by that of connections.
pub(crate) struct Clients {
    connections: usize,
    passwords: usize,
    known: Mutex<HashMap<IpAddr, Known>>,
}

struct Known {
    connections: usize,
    passwords: Arc<Semaphore>,
}

impl Clients {
    /// At most so many connections of one address, and so many of its passwords that are hashed or wait
    /// for it.
    pub(crate) fn new(connections: usize, passwords: usize) -> Arc<Self> {
        Arc::new(Self {
            connections: connections.max(1),
            passwords: passwords.max(1),
            known: Mutex::default(),
        })
    }

    /// A place for one more connection of an address; none if it has all that it may.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = network(address);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let client = known
            .entry(address)
            .or_insert_with(|| Known { connections: 0, passwords: Arc::new(Semaphore::new(self.passwords)) });
        if client.connections >= self.connections {
            return None;
        }
        client.connections += 1;
        Some(Place { clients: self.clone(), address, passwords: client.passwords.clone() })
    }
}

/// A connection's place. It is free again when this is dropped.
pub(crate) struct Place {
    clients: Arc<Clients>,
    address: IpAddr,
    /// The passwords of this address that may be hashed at once.
    pub(crate) passwords: Arc<Semaphore>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut known = self.clients.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = known.get_mut(&self.address) {
            client.connections -= 1;
            if client.connections == 0 {
                known.remove(&self.address);
            }
        }
    }
}

/// Whom an address belongs to: with IPv6, one machine has the addresses of a whole /64 (RFC 4291 §2.5.1).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let bits = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(bits))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_its_share_and_leaves_that_of_the_others() {
        let clients = Clients::new(2, 1);
        let [one, other]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        let first = clients.admit(one).unwrap();
        let _second = clients.admit(one).unwrap();
        assert!(clients.admit(one).is_none());
        assert!(clients.admit(other).is_some());
        drop(first);
        let again = clients.admit(one);
        assert!(again.is_some() && clients.admit(one).is_none());
    }

    #[test]
    fn nobody_is_remembered_who_has_no_connection() {
        let clients = Clients::new(2, 1);
        for number in 0..1000 {
            drop(clients.admit(IpAddr::from([10, 0, (number >> 8) as u8, number as u8])));
        }
        assert!(clients.known.lock().unwrap().is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let clients = Clients::new(1, 1);
        let addresses = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "::ffff:192.0.2.1", "192.0.2.1"];
        let places = addresses.map(|text| clients.admit(text.parse().unwrap()));
        let admitted = places.each_ref().map(Option::is_some);
        assert_eq!(admitted, [true, false, true, true, false]);
    }
}
