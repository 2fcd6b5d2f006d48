//! The streams that hold the logs: made by whoever comes first, checked by everybody else.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{Context, CreateStreamErrorKind};
use async_nats::jetstream::stream::{
    Config as StreamConfig, DiscardPolicy, Republish, RetentionPolicy, StorageType,
};
use protocol::cursor::Epoch;
use protocol::subject::{STREAMS, StreamIndex};

use super::StartError;
use super::config::Config;

/// Under which the epoch stands in a stream's metadata.
pub(super) const EPOCH_KEY: &str = "barrage-epoch";
/// Retries of a publish come within a few seconds; a longer window costs memory.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(20);
/// Copies of a log in a cluster: one node may be away.
const REPLICAS_IN_CLUSTER: usize = 3;

/// How many servers hold each log, and rooms' settings.
pub(super) fn replicas(config: &Config, in_cluster: bool) -> usize {
    let default = if in_cluster { REPLICAS_IN_CLUSTER } else { 1 };
    config.replicas.map_or(default, usize::from)
}

/// What a stream should be like.
pub(super) fn wanted(config: &Config, stream: StreamIndex, in_cluster: bool) -> StreamConfig {
    let (source, destination) = config.namespace.republish();
    let epoch = Epoch::random(rand::random()).to_string();
    StreamConfig {
        name: config.namespace.stream(stream),
        subjects: config.namespace.stream_subjects(stream),
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        num_replicas: replicas(config, in_cluster),
        max_messages_per_subject: i64::from(config.log.room_entries_max),
        max_age: config.log.age,
        max_bytes: i64::try_from(config.log.stream_bytes_max).unwrap_or(i64::MAX),
        duplicate_window: DUPLICATE_WINDOW.min(config.log.age),
        allow_direct: true,
        republish: Some(Republish { source, destination, headers_only: false }),
        metadata: HashMap::from([(EPOCH_KEY.to_owned(), epoch)]),
        first_sequence: Some(numbers_from()),
        ..StreamConfig::default()
    }
}

/// Where a new numbering begins: above every one before it, so that no entry of a stream that is
/// made again looks like an old one. Microseconds since 1970: no stream stores a million a second.
fn numbers_from() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX).max(1)
}

/// Sees to it that a stream is there and as it should be, and returns how long it keeps its
/// entries: at least as long as is wanted. What other gateways keep is not taken away from them.
///
/// # Errors
/// [`Unready::Refused`] if it exists and is different, [`Unready::Later`] for everything that
/// may pass.
pub(super) async fn ensure(
    context: &Context,
    config: &Config,
    stream: StreamIndex,
    in_cluster: bool,
) -> Result<Duration, Unready> {
    let wanted = wanted(config, stream, in_cluster);
    let found = match context.create_stream(wanted.clone()).await.map_err(|error| error.kind()) {
        Ok(_) => return Ok(wanted.max_age),
        Err(CreateStreamErrorKind::JetStream(refusal)) => match refusal.error_code() {
            ErrorCode::STREAM_NAME_EXIST => context.get_stream(&wanted.name).await,
            ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED => {
                return Err(Unready::Refused(StartError::Stream {
                    stream: wanted.name,
                    difference: "several replicas need a cluster".to_owned(),
                }));
            }
            ErrorCode::STORAGE_RESOURCES_EXCEEDED
            | ErrorCode::INSUFFICIENT_RESOURCES
            | ErrorCode::CLUSTER_NO_PEERS => {
                return Err(Unready::Later(no_room(&wanted, &refusal.to_string())));
            }
            _ => return Err(Unready::Later(refusal.to_string())),
        },
        Err(error) => return Err(Unready::Later(error.to_string())),
    };
    let found =
        found.map_err(|error| Unready::Later(error.to_string()))?.cached_info().config.clone();
    if let Some(difference) = difference(&wanted, &found, config.replicas.is_some()) {
        return Err(Unready::Refused(StartError::Stream { stream: wanted.name, difference }));
    }
    keep_for(context, &wanted, found).await
}

/// Has a stream keep its entries for at least as long as is wanted.
async fn keep_for(
    context: &Context,
    wanted: &StreamConfig,
    found: StreamConfig,
) -> Result<Duration, Unready> {
    let max_age = longer(wanted.max_age, found.max_age);
    let duplicate_window = wanted.duplicate_window.max(found.duplicate_window);
    if (found.max_age, found.duplicate_window) == (max_age, duplicate_window) {
        return Ok(max_age);
    }
    let was = found.max_age;
    let changed = StreamConfig { max_age, duplicate_window, ..found };
    match context.update_stream(changed).await {
        Ok(_) => {
            tracing::info!(stream = wanted.name, ?was, is = ?max_age, "a log keeps events for longer");
            Ok(max_age)
        }
        Err(error) => Err(Unready::Later(format!("max_age cannot be changed: {error}"))),
    }
}

/// The longer of two ages; a stream whose age is zero keeps its entries for ever.
pub(super) fn longer(one: Duration, other: Duration) -> Duration {
    if one.is_zero() || other.is_zero() { Duration::ZERO } else { one.max(other) }
}

/// What somebody has to do about servers on which a stream has no room.
fn no_room(wanted: &StreamConfig, refusal: &str) -> String {
    format!(
        "the servers have no room for it ({refusal}): {STREAMS} streams set aside {} bytes each, \
         on {} servers; give JetStream more (max_file_store) or set nats.stream_bytes lower",
        wanted.max_bytes,
        wanted.num_replicas.max(1)
    )
}

/// Why a stream is not there.
#[derive(Debug)]
pub(super) enum Unready {
    /// Somebody has to change something.
    Refused(StartError),
    /// It may come.
    Later(String),
}

/// What is different about a stream, for people; `None` if nothing is that matters.
fn difference(
    wanted: &StreamConfig,
    found: &StreamConfig,
    replicas_matter: bool,
) -> Option<String> {
    macro_rules! compare {
        ($($name:literal: $field:ident)*) => {
            [$((wanted.$field != found.$field).then(|| {
                format!("{} is {:?}, it should be {:?}", $name, found.$field, wanted.$field)
            })),*]
        };
    }
    let mut differences: Vec<String> = compare! {
        "subjects": subjects
        "storage": storage
        "retention": retention
        "discard": discard
        "max_msgs_per_subject": max_messages_per_subject
        "max_bytes": max_bytes
        "allow_direct": allow_direct
        "republish": republish
    }
    .into_iter()
    .flatten()
    .collect();
    if replicas_matter && wanted.num_replicas != found.num_replicas {
        let (found, wanted) = (found.num_replicas, wanted.num_replicas);
        differences.push(format!("num_replicas is {found}, it should be {wanted}"));
    }
    if found.metadata.get(EPOCH_KEY).is_none_or(|epoch| epoch.parse::<Epoch>().is_err()) {
        differences.push(format!("its metadata has no {EPOCH_KEY}"));
    }
    (!differences.is_empty()).then(|| differences.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> StreamConfig {
        wanted(&Config::new(Vec::new()), StreamIndex::all().next().unwrap(), false)
    }

    #[test]
    fn another_epoch_or_what_the_server_fills_in_is_no_difference() {
        let mut found = some();
        found.metadata.insert("_nats.ver".into(), "2.11.11".into());
        assert_eq!(difference(&some(), &found, true), None);
    }

    #[test]
    fn of_two_ages_the_longer_holds_and_none_is_for_ever() {
        let age = Duration::from_secs;
        assert_eq!(longer(age(5), age(600)), age(600));
        assert_eq!(longer(age(600), age(5)), age(600));
        assert_eq!(longer(age(5), age(0)), age(0));
    }

    #[test]
    fn every_difference_is_named_with_both_values() {
        let mut found = some();
        found.max_bytes = 1;
        found.republish = None;
        found.num_replicas = 3;
        found.metadata.clear();
        let told = difference(&some(), &found, true).unwrap();
        for part in ["max_bytes is 1, it should be", "republish is None", "num_replicas is 3"] {
            assert!(told.contains(part), "{told}");
        }
        assert!(told.contains(EPOCH_KEY));
        found = some();
        found.num_replicas = 3;
        assert_eq!(difference(&some(), &found, false), None, "nobody asked for a number");
    }
}
