//! Who is here, from where, and how often they come: the limits before and after the handshake.
//!
//! Counts connections of the gateway, of each address and of each user, and the handshakes of
//! each address. What it remembers is bounded: an address or a user without a connection is
//! forgotten once its rates have recovered, which takes seconds.

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use protocol::ids::UserId;
use protocol::limits;

use crate::client::admission::{Limiter, Rate, SharedLimiter, Verdict};
use crate::documented::documented;
use crate::files::Places;

documented! {
    /// What a gateway takes in; from the configuration.
    #[derive(Debug, Clone, Copy)]
    pub struct GuestRules {
        /// Connections of this gateway, those that are not WebSockets yet included; more are
        /// answered 503. Default: 200,000. Each needs a file descriptor, and while nothing
        /// happens about 1.3 KB here and 4 KB in the kernel: too many end in a process without
        /// memory, too few turn viewers away. If this process may not open that many files
        /// (`ulimit -Hn`, `LimitNOFILE`), it takes fewer, and says so when it starts.
        pub connections_max: u32,
        /// Connections of one user to this gateway; more are closed with 4504. Default: 16, some
        /// devices with some tabs each. Less cuts people off from their second screen; more helps
        /// those who share a token.
        pub connections_per_user_max: u32,
        /// Whether the limits of addresses hold. Default: `on`; `off` with `--dev`, where everybody
        /// comes from one address. Switched off, one machine can take all connections.
        pub address_limits: AddressLimits,
        /// Connections of one IPv4 address, or one /64 of IPv6; more are answered 429. Default:
        /// 1,024, since a company or a mobile network may have one address for all. Less turns
        /// such viewers away; more lets one machine take more.
        pub address_connections_max: u32,
        /// Handshakes of one such address; more are answered 429. With TLS every connection counts,
        /// and more are closed before they shake hands. Default: 50 per second. Less
        /// makes a crowd behind one address come back slowly after a restart; more lets one
        /// machine keep the gateway busy with greetings.
        pub address_handshakes: Rate,
    }
}

/// Whether the limits of addresses hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressLimits {
    /// They do.
    On,
    /// They do not: for trying things out.
    Off,
}

impl Default for GuestRules {
    fn default() -> Self {
        Self {
            connections_max: 200_000,
            connections_per_user_max: limits::CONNECTIONS_PER_USER_MAX,
            address_limits: AddressLimits::On,
            address_connections_max: 1024,
            address_handshakes: Rate { burst: 50, period: Duration::from_secs(1) },
        }
    }
}

/// What counts as one address: an IPv4 address, or a /64 of IPv6, which is what one household or
/// one rented machine gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Neighbourhood {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl From<IpAddr> for Neighbourhood {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.octets()),
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, h, ..] = v6.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// Why somebody is not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// The gateway holds as many connections as it may.
    Full,
    /// The address holds as many connections as it may.
    AddressConnections,
    /// The address has asked too often; the next handshake may come after this time.
    AddressHandshakes(Duration),
    /// The user holds as many connections as it may.
    UserConnections,
}

/// Addresses, and users, remembered although they hold no connection.
const IDLE_MAX: usize = 65_536;
/// Between two looks for what can be forgotten.
const SWEEP: Duration = Duration::from_secs(1);

/// Everybody who is here, and who was here a moment ago.
#[derive(Debug)]
pub(crate) struct Guests {
    rules: GuestRules,
    places: Places,
    connections: u32,
    /// Over a limit, and here until they are told so.
    turned_away: u32,
    addresses: AHashMap<Neighbourhood, AddressUse>,
    users: AHashMap<UserId, UserUse>,
    sweep_at: Duration,
}

#[derive(Debug, Default)]
struct AddressUse {
    connections: u32,
    handshakes: Limiter,
}

#[derive(Debug, Default)]
struct UserUse {
    connections: u32,
    publishes: Arc<SharedLimiter>,
}

impl Guests {
    pub(crate) fn new(rules: GuestRules, places: Places) -> Self {
        Self {
            rules,
            places,
            connections: 0,
            turned_away: 0,
            addresses: AHashMap::new(),
            users: AHashMap::new(),
            sweep_at: Duration::ZERO,
        }
    }

    /// A connection comes; from an address, unless that is not known yet.
    pub(crate) fn enter(
        &mut self,
        address: Option<Neighbourhood>,
        now: Duration,
    ) -> Result<(), Denied> {
        if self.connections >= self.places.connections {
            return Err(Denied::Full);
        }
        if let Some(address) = address {
            self.claim(address, now)?;
        }
        self.connections += 1;
        Ok(())
    }

    /// The address of a connection that has entered becomes known.
    pub(crate) fn claim(&mut self, address: Neighbourhood, now: Duration) -> Result<(), Denied> {
        if self.rules.address_limits == AddressLimits::Off {
            return Ok(());
        }
        let connections_max = self.rules.address_connections_max;
        let used = self.address(address, now)?;
        if used.connections >= connections_max {
            return Err(Denied::AddressConnections);
        }
        used.connections += 1;
        Ok(())
    }

    /// A connection that has entered goes.
    pub(crate) fn leave(&mut self, address: Option<Neighbourhood>) {
        self.connections = self.connections.saturating_sub(1);
        if let Some(used) = address.and_then(|address| self.addresses.get_mut(&address)) {
            used.connections = used.connections.saturating_sub(1);
        }
    }

    /// Somebody asks to become a client.
    pub(crate) fn knock(&mut self, address: Neighbourhood, now: Duration) -> Result<(), Denied> {
        if self.rules.address_limits == AddressLimits::Off {
            return Ok(());
        }
        let rate = self.rules.address_handshakes;
        match self.address(address, now)?.handshakes.admit(rate, 1, now) {
            Verdict::Accept => Ok(()),
            Verdict::Wait(wait) => Err(Denied::AddressHandshakes(wait)),
        }
    }

    /// Whether there is room for one more who only waits to be told that there is none.
    pub(crate) fn turn_away(&mut self) -> bool {
        let has_room = self.turned_away < self.places.refusals;
        self.turned_away += u32::from(has_room);
        has_room
    }

    /// Somebody who was turned away goes.
    pub(crate) fn turned_away_left(&mut self) {
        self.turned_away = self.turned_away.saturating_sub(1);
    }

    /// A connection turns out to be of a user; gives what all connections of the user share.
    pub(crate) fn seat(
        &mut self,
        user: &UserId,
        now: Duration,
    ) -> Result<Arc<SharedLimiter>, Denied> {
        self.sweep(now);
        let connections = self.users.get(user).map_or(0, |used| used.connections);
        if connections >= self.rules.connections_per_user_max {
            return Err(Denied::UserConnections);
        }
        if let Some(used) = self.users.get_mut(user) {
            used.connections += 1;
            return Ok(Arc::clone(&used.publishes));
        }
        if self.users.len() >= self.known_max() {
            return Err(Denied::Full);
        }
        let used = UserUse { connections: 1, publishes: Arc::default() };
        let publishes = Arc::clone(&used.publishes);
        self.users.insert(user.clone(), used);
        Ok(publishes)
    }

    /// A connection of a user goes.
    pub(crate) fn unseat(&mut self, user: &UserId, now: Duration) {
        let Some(used) = self.users.get_mut(user) else { return };
        used.connections = used.connections.saturating_sub(1);
        // Most have not published lately and are forgotten at once; the others before long.
        if used.connections == 0 && used.publishes.is_full(now) {
            self.users.remove(user);
        }
    }

    fn address(
        &mut self,
        address: Neighbourhood,
        now: Duration,
    ) -> Result<&mut AddressUse, Denied> {
        self.sweep(now);
        if self.addresses.len() >= self.known_max() && !self.addresses.contains_key(&address) {
            return Err(Denied::Full);
        }
        Ok(self.addresses.entry(address).or_default())
    }

    fn known_max(&self) -> usize {
        (self.places.connections as usize).saturating_add(IDLE_MAX)
    }

    /// Forgets who has no connection and owes no time.
    fn sweep(&mut self, now: Duration) {
        if now < self.sweep_at {
            return;
        }
        self.sweep_at = now + SWEEP;
        self.addresses.retain(|_, used| used.connections > 0 || !used.handshakes.is_full(now));
        self.users.retain(|_, used| used.connections > 0 || !used.publishes.is_full(now));
        give_back(&mut self.addresses);
        give_back(&mut self.users);
    }
}

/// A crowd that has gone leaves no room behind.
fn give_back<K: Eq + Hash, V>(map: &mut AHashMap<K, V>) {
    let length = map.len();
    if map.capacity() > 4 * length + 1024 {
        map.shrink_to(2 * length);
    }
}

#[cfg(test)]
mod tests;
