//! Who arrives: accepting connections, whose they are, and whether there is room for them.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use crate::client::guests::Denied;
use crate::doorman::Pass;
use crate::http::held::Hold;
use crate::http::serve::{HEAD_TIMEOUT, Public, Visitor};
use crate::http::tls::Tls;
use crate::http::turn_away;
use crate::metrics::TurnedAway;
use crate::now::Now;

/// After a failed accept (the whole machine has no file left, usually) the next one waits this
/// long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Between two lines of the log about failed accepts.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Failed accepts that the log does not tell of yet.
#[derive(Debug, Default)]
struct Failures {
    untold: u32,
    told: Option<Duration>,
}

impl Failures {
    /// Tells of them now and then: one line each would be twenty a second.
    fn tell(&mut self, error: &io::Error, now: Now) {
        self.untold = self.untold.saturating_add(1);
        if self.told.is_none_or(|told| told + TELL_EVERY <= now.mono) {
            tracing::warn!(%error, times = self.untold, "cannot accept connections");
            *self = Self { untold: 0, told: Some(now.mono) };
        }
    }
}

impl Public {
    /// Accepts connections until told to stop; then takes what the kernel has queued already, so
    /// that nobody who got through is reset.
    pub(crate) async fn accept(
        self: Rc<Self>,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) {
        tokio::pin!(stop);
        let mut failures = Failures::default();
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = listener.accept() => self.accepted(accepted, &mut failures).await,
            }
        }
        self.leaving.cancel();
        let Ok(listener) = listener.into_std() else { return };
        while let Some(accepted) = queued(&listener) {
            self.accepted(accepted, &mut failures).await;
        }
    }

    async fn accepted(
        self: &Rc<Self>,
        accepted: io::Result<(TcpStream, SocketAddr)>,
        failures: &mut Failures,
    ) {
        match accepted {
            Ok((stream, peer)) => Rc::clone(self).spawn(stream, peer),
            Err(error) => {
                self.context.metrics.accept_failures.inc();
                failures.tell(&error, self.context.clock.now());
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }

    /// Lets it in, or closes it unheard. At once, not in a task of its own: such tasks wait for
    /// their turn, and meanwhile a crowd would be accepted that there are no files for.
    fn spawn(self: Rc<Self>, stream: TcpStream, peer: SocketAddr) {
        let address = peer.ip().to_canonical();
        let known = (!self.rules.proxies.trust(address)).then_some(address);
        let Some((pass, entered)) = self.context.doorman.enter(known) else { return };
        let tasks = self.tasks.clone();
        tasks.spawn_local(self.receive(stream, peer, pass, entered.err()));
    }

    /// Finds out who it is, and in which language it speaks.
    async fn receive(
        self: Rc<Self>,
        mut stream: TcpStream,
        peer: SocketAddr,
        pass: Pass,
        denied: Option<Denied>,
    ) {
        let met = self.meet(&mut stream, peer, pass, denied).await;
        let Some(visitor) = met else { return };
        match self.tls.clone() {
            None => self.serve(stream, visitor).await,
            Some(tls) => Box::pin(self.receive_encrypted(tls, stream, visitor)).await,
        }
    }

    /// Apart, since it takes three times the room.
    async fn receive_encrypted(self: Rc<Self>, tls: Tls, stream: TcpStream, visitor: Visitor) {
        match tls.accept(stream).await {
            Ok(stream) => self.serve(stream, visitor).await,
            Err(error) => {
                self.context.metrics.turned_away(TurnedAway::TlsHandshake);
                tracing::debug!(%error, "a TLS handshake failed");
            }
        }
    }

    /// Finds out whose connection it is. `None`: it is closed without an answer.
    async fn meet(
        &self,
        stream: &mut TcpStream,
        peer: SocketAddr,
        mut pass: Pass,
        mut denied: Option<Denied>,
    ) -> Option<Visitor> {
        let proxies = &self.rules.proxies;
        let address = tokio::time::timeout(HEAD_TIMEOUT, proxies.address(stream, peer)).await;
        let Ok(Ok(address)) = address else {
            self.context.metrics.turned_away(TurnedAway::ProxyHeader);
            return None;
        };
        let known = (!proxies.trust(address)).then_some(address);
        if let Some(address) = known
            && denied.is_none()
        {
            denied = pass.claim(address).err();
        }
        let is_knocked = match known.filter(|_| self.tls.is_some()) {
            None => false,
            Some(address) => {
                self.may_shake(address, denied)?;
                true
            }
        };
        let pass = RefCell::new(Some(pass));
        Some(Visitor {
            address,
            is_knocked,
            pass,
            denied,
            cut: Rc::default(),
            hold: Hold::default(),
        })
    }

    /// Before a TLS handshake, which costs more than anything behind it: an address that is over
    /// a limit is not worth one, and each counts like a handshake of WebSockets, whatever is asked
    /// for in the end. `None`: it is closed, and counted.
    fn may_shake(&self, address: IpAddr, denied: Option<Denied>) -> Option<()> {
        let over = match denied {
            // Told why: it is not this address that is many.
            Some(Denied::Full) => return Some(()),
            Some(denied) => Err(denied),
            None => self.context.doorman.knock(address),
        };
        over.inspect_err(|denied| turn_away::why(*denied).count(&self.context.metrics)).ok()
    }
}

/// A connection that the kernel has finished already; `None` if there is none.
///
/// The kernel is asked itself: what the runtime knows of the queue is as old as its last look.
fn queued(listener: &std::net::TcpListener) -> Option<io::Result<(TcpStream, SocketAddr)>> {
    match listener.accept() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        accepted => Some(accepted.and_then(|(stream, peer)| {
            stream.set_nonblocking(true)?;
            Ok((TcpStream::from_std(stream)?, peer))
        })),
    }
}
