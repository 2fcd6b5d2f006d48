//! The log of a room in its stream: read from the nats-servers, through none of our gateways.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::{self, Context};
use async_nats::{ConnectOptions, Error};
use futures_util::StreamExt as _;
use protocol::cursor::Seq;
use protocol::envelope::Batch;
use protocol::ids::RoomId;
use protocol::subject::{Namespace, Partition};
use rig::account::log::Log;
use rig::wait::until;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::crowd::ROOMS;

/// A pause before a question is asked again, while servers come and go.
const PAUSE: Duration = Duration::from_millis(100);
/// How long one question may take.
const ANSWER: Duration = Duration::from_secs(3);
/// A stream that says so little for so long does not answer any more.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// Follows the logs of both rooms.
#[derive(Debug)]
pub(crate) struct Follower {
    rooms: [Followed; 2],
}

#[derive(Debug)]
struct Followed {
    context: Context,
    stream: String,
    subject: String,
    log: Arc<Mutex<(Seq, Log)>>,
    task: JoinHandle<()>,
}

/// The stream that holds a room, in a deployment with the default namespace.
pub(crate) fn stream_of(room: &str) -> String {
    let room = RoomId::parse(room).unwrap();
    namespace().stream(Partition::of_room(&room).stream())
}

pub(super) fn namespace() -> Namespace {
    Namespace::parse("barrage").unwrap()
}

impl Follower {
    pub(super) async fn start(url: &str) -> Self {
        let urls: Vec<&str> = url.split(',').collect();
        let options = ConnectOptions::new().ping_interval(HEARTBEAT).retry_on_initial_connect();
        let client = options.connect(urls).await.expect("servers that can be reached");
        let mut context = jetstream::new(client);
        context.set_timeout(ANSWER);
        Self { rooms: ROOMS.map(|room| Followed::start(&context, room)) }
    }

    /// The numbers of the last entries, once both logs are read up to there.
    pub(super) async fn heads(&self) -> [Seq; 2] {
        let mut heads = [0; 2];
        for (head, room) in heads.iter_mut().zip(&self.rooms) {
            *head = until("the last entry of a log", || room.head()).await;
            let is_read = || async { (room.log.lock().unwrap().0 >= *head).then_some(()) };
            until("a log read to its end", is_read).await;
        }
        heads
    }

    pub(super) async fn logs(self) -> [Log; 2] {
        self.heads().await;
        self.rooms.map(|room| {
            room.task.abort();
            std::mem::take(&mut room.log.lock().unwrap().1)
        })
    }
}

impl Followed {
    fn start(context: &Context, room: &str) -> Self {
        let (stream, subject) = (stream_of(room), namespace().log(&RoomId::parse(room).unwrap()));
        let log = Arc::new(Mutex::new((0, Log::default())));
        let (own, name, filter) = (Arc::clone(&log), stream.clone(), subject.clone());
        let reader = context.clone();
        let task = tokio::spawn(async move {
            loop {
                // Whatever goes wrong, it goes on where it was.
                let _ = read(&reader, &name, &filter, &own).await;
                sleep(PAUSE).await;
            }
        });
        Self { context: context.clone(), stream, subject, log, task }
    }

    async fn head(&self) -> Option<Seq> {
        let asked = async {
            let stream = self.context.get_stream_no_info(&self.stream).await.ok()?;
            match stream.get_last_raw_message_by_subject(&self.subject).await {
                Ok(last) => Some(last.sequence),
                Err(error) => {
                    use async_nats::jetstream::stream::LastRawMessageErrorKind::NoMessageFound;
                    (error.kind() == NoMessageFound).then_some(0)
                }
            }
        };
        timeout(ANSWER, asked).await.ok()?
    }
}

async fn read(
    context: &Context,
    stream: &str,
    subject: &str,
    log: &Mutex<(Seq, Log)>,
) -> Result<(), Error> {
    let last = log.lock().unwrap().0;
    let config = pull::Config {
        filter_subject: subject.to_owned(),
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: last + 1 },
        ack_policy: AckPolicy::None,
        ..pull::Config::default()
    };
    let stream = context.get_stream_no_info(stream).await?;
    let consumer = stream.create_consumer(config).await?;
    let mut messages =
        consumer.stream().heartbeat(HEARTBEAT).expires(2 * HEARTBEAT).messages().await?;
    while let Some(message) = messages.next().await {
        let message = message?;
        let seq = message.info()?.stream_sequence;
        let batch = Batch::decode(message.payload.clone()).expect("logs hold batches");
        let (last, log) = &mut *log.lock().unwrap();
        if seq > *last {
            log.append(seq, batch.events.iter().map(|event| event.id));
            *last = seq;
        }
    }
    Ok(())
}
