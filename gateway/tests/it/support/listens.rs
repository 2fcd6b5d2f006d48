//! What every client of tests does that remembers what it was told: it asks, and waits for what
//! must come.

/// Gives a client that has a `memory`, `command` and `read` the waiting for them.
macro_rules! listens {
    ($client:ty) => {
        impl $client {
            /// Sends a command and waits for its reply.
            pub(crate) async fn ask(&mut self, command: Value) -> Value {
                let what = format!("the reply to {command}");
                let id = self.command(command).await;
                self.until(&what, |memory| memory.reply(id).cloned()).await
            }

            /// Reads until there is something to find in the memory.
            pub(crate) async fn until<T>(
                &mut self,
                what: &str,
                mut find: impl FnMut(&Memory) -> Option<T>,
            ) -> T {
                soon(what, async {
                    loop {
                        if let Some(found) = find(&self.memory) {
                            return found;
                        }
                        assert!(
                            !self.memory.ended,
                            "{what}: the end came first: {:?}",
                            self.memory.closed
                        );
                        self.read().await;
                    }
                })
                .await
            }

            /// Reads until the account of a room has come so far and nothing is held.
            pub(crate) async fn reaches(&mut self, room: &str, seq: u64) {
                let what = format!("entry {seq} of `{room}`");
                let there = |memory: &Memory| {
                    let account = memory.account(room);
                    (account.cursor.seq >= seq && account.held == 0).then_some(())
                };
                self.until(&what, there).await;
            }

            /// Reads until the connection has ended; returns the code it was closed with, if it was.
            pub(crate) async fn ends(&mut self) -> Option<u16> {
                soon("the end of the connection", async {
                    while !self.memory.ended {
                        self.read().await;
                    }
                })
                .await;
                self.memory.close_code()
            }
        }
    };
}

pub(crate) use listens;
