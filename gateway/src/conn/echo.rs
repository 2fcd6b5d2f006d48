//! A WebSocket that says what it hears, over the very reader and the very writes of all others:
//! for conformance suites, in development only.

use std::rc::Rc;

use bytes::Bytes;
use protocol::close::CloseReason;
use protocol::deflate::Deflater;
use protocol::frame::{self, FrameRules};
use protocol::from_client::Decoder;
use protocol::ids::UserId;

use crate::client::Form;
use crate::conn::context::Context;
use crate::conn::reader::{Carry, Client, Inbound, Next, Read};
use crate::conn::{copy, discard};
use crate::doorman::Pass;
use crate::shard::{ClientSink, Control, Socket};

/// A client of the echo.
pub(crate) struct Echoed {
    pub(crate) socket: Socket,
    /// The answer to its handshake.
    pub(crate) head: Bytes,
    /// What it had sent behind its handshake.
    pub(crate) early: Bytes,
    /// Whether permessage-deflate was negotiated.
    pub(crate) form: Form,
    pub(crate) message_bytes_max: usize,
    /// Its right to be here, given back when it goes.
    pub(crate) pass: Pass,
}

/// Echoes until the client goes.
pub(crate) async fn run(context: Rc<Context>, echoed: Echoed) {
    let Echoed { socket, head, early, form, message_bytes_max, pass: _pass } = echoed;
    let socket = Rc::new(socket);
    socket.heard(context.clock.now().mono_s());
    let sink = context.handover.leave(ClientSink::Socket(Rc::clone(&socket)));
    let nobody = UserId::anonymous(rand::random());
    let Some(address) = context.shard.attach(sink, nobody, Some(head)).await else { return };
    context.metrics.connections.inc();
    context.metrics.connections_total.inc();
    let mut carry = Carry::default();
    let mut echo = Echo { form, message_bytes_max, deflater: Deflater::new(), said: Vec::new() };
    let mut early = Some(early).filter(|early| !early.is_empty());
    loop {
        if early.is_none() && socket.readable().await.is_err() {
            break;
        }
        let read = {
            let mut reader = context.reader.borrow_mut();
            match early.take() {
                Some(early) => reader.read(|into| copy(&early, into), &mut carry, &mut echo),
                None => reader.read(|into| socket.try_read(into), &mut carry, &mut echo),
            }
        };
        let mut is_closing = false;
        for said in echo.said.drain(..) {
            context
                .shard
                .control(match said {
                    Said::Frame(frame) => Control::Send { address, frame },
                    Said::Close(frame) => {
                        is_closing = true;
                        Control::Echo { address, frame }
                    }
                })
                .await;
        }
        match read {
            Read::Bytes(_) => socket.heard(context.clock.now().mono_s()),
            Read::Nothing => {}
            Read::Ended => break,
            Read::Fault(reason) => {
                context.shard.control(Control::Close { address, reason }).await;
                is_closing = true;
            }
        }
        if is_closing {
            discard(&socket).await;
            break;
        }
    }
    context.shard.control(Control::Detach(address)).await;
    context.metrics.connections.dec();
}

/// What is to be answered.
enum Said {
    Frame(Bytes),
    Close(Bytes),
}

struct Echo {
    form: Form,
    message_bytes_max: usize,
    deflater: Deflater,
    said: Vec<Said>,
}

impl Client for Echo {
    fn rules(&self) -> FrameRules {
        let compression = self.form == Form::Deflated;
        FrameRules { payload_bytes_max: self.message_bytes_max, compression }
    }

    fn take(&mut self, inbound: Inbound<'_>, _: &mut Decoder) -> Next {
        self.said.push(match inbound {
            Inbound::Text(text) => Said::Frame(match self.form {
                Form::Plain | Form::EventStream => frame::text(text.as_bytes()),
                Form::Deflated => frame::deflated_text(&self.deflater.deflate(text.as_bytes())),
            }),
            Inbound::Ping(payload) => Said::Frame(frame::pong(payload)),
            Inbound::Pong => return Next::GoOn,
            Inbound::Close(code) => {
                self.said.push(Said::Close(frame::close_echo(code)));
                return Next::Stop;
            }
        });
        Next::GoOn
    }

    fn take_binary(&mut self, bytes: &[u8]) -> Result<Next, CloseReason> {
        self.said.push(Said::Frame(match self.form {
            Form::Plain | Form::EventStream => frame::binary(bytes),
            Form::Deflated => frame::deflated_binary(&self.deflater.deflate(bytes)),
        }));
        Ok(Next::GoOn)
    }
}
