//! Takes connections in and counts them out, for all shards of a gateway.
//!
//! It is asked when a connection comes, asks to become a client, and goes: never on the way of a
//! message, so its lock (held for less than a microsecond) holds nobody up. What it gives out
//! counts itself out when it is dropped, however a connection ends.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::ids::UserId;

use crate::client::admission::SharedLimiter;
use crate::client::guests::{Denied, GuestRules, Guests, Neighbourhood};
use crate::files::Places;
use crate::metrics::{Metrics, TurnedAway};
use crate::now::Clock;

/// The doorman of a gateway.
#[derive(Debug)]
pub(crate) struct Doorman {
    guests: Mutex<Guests>,
    clock: Clock,
    metrics: Arc<Metrics>,
}

/// A connection's right to be here, for as long as it is kept.
#[derive(Debug)]
pub(crate) struct Pass {
    doorman: Arc<Doorman>,
    holds: Holds,
}

#[derive(Debug, Clone, Copy)]
enum Holds {
    Connection(Option<Neighbourhood>),
    /// Only the right to be told why not.
    Refusal,
}

/// A user's connection, for as long as it is kept.
#[derive(Debug)]
pub(crate) struct UserPass {
    doorman: Arc<Doorman>,
    user: UserId,
}

impl Doorman {
    pub(crate) fn new(
        rules: GuestRules,
        places: Places,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Arc::new(Self { guests: Guests::new(rules, places).into(), clock, metrics })
    }

    /// Lets a connection in: with a pass and, if it is over a limit, with what to answer to
    /// whatever it asks. `None`: too many of those, it is closed unheard.
    ///
    /// Without an address (behind a proxy it is known only with the request) only the gateway's
    /// own limit counts.
    pub(crate) fn enter(
        self: &Arc<Self>,
        address: Option<IpAddr>,
    ) -> Option<(Pass, Result<(), Denied>)> {
        let address = address.map(Neighbourhood::from);
        let now = self.clock.now().mono;
        let mut guests = self.guests();
        let entered = guests.enter(address, now);
        let holds = match entered {
            Ok(()) => Holds::Connection(address),
            Err(_) if guests.turn_away() => Holds::Refusal,
            Err(_) => {
                drop(guests);
                self.metrics.turned_away(TurnedAway::Unheard);
                return None;
            }
        };
        drop(guests);
        Some((Pass { doorman: Arc::clone(self), holds }, entered))
    }

    /// Counts a handshake of an address.
    pub(crate) fn knock(&self, address: IpAddr) -> Result<(), Denied> {
        self.guests().knock(address.into(), self.clock.now().mono)
    }

    /// Takes in a connection of a user, with what all connections of the user on this gateway may
    /// publish together.
    pub(crate) fn seat(
        self: &Arc<Self>,
        user: &UserId,
    ) -> Result<(UserPass, Arc<SharedLimiter>), Denied> {
        let publishes = self.guests().seat(user, self.clock.now().mono)?;
        Ok((UserPass { doorman: Arc::clone(self), user: user.clone() }, publishes))
    }

    /// No rule panics half-way, so what a panic elsewhere has left is whole.
    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// The connection's address has become known.
    pub(crate) fn claim(&mut self, address: IpAddr) -> Result<(), Denied> {
        let address = address.into();
        if let Holds::Connection(None) = self.holds {
            self.doorman.guests().claim(address, self.doorman.clock.now().mono)?;
            self.holds = Holds::Connection(Some(address));
        }
        Ok(())
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut guests = self.doorman.guests();
        match self.holds {
            Holds::Connection(address) => guests.leave(address),
            Holds::Refusal => guests.turned_away_left(),
        }
    }
}

impl Drop for UserPass {
    fn drop(&mut self) {
        self.doorman.guests().unseat(&self.user, self.doorman.clock.now().mono);
    }
}
