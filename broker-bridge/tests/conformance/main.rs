//! The contract of `Broker`, one test per sentence, for every implementation.
//!
//! A new implementation writes a [`fabric::Fabric`] and gets the whole suite with one line at the
//! end of this file. The tests wait for conditions, in real time, so that implementations behind
//! sockets run the same code.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod counts;
mod direct;
mod embedded;
mod end;
mod fabric;
mod fetch;
mod live;
mod nats;
mod nodes;
mod order;
mod settings;
mod subscription;

macro_rules! keeps {
    ($fabric:ty: $($area:ident::$promise:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                if <$fabric as crate::fabric::Fabric>::is_here() {
                    crate::$area::$promise::<$fabric>().await;
                }
            }
        )*
    };
}

/// What a single node is promised.
macro_rules! keeps_its_promises_to_one_node {
    ($fabric:ty) => {
        keeps! { $fabric:
            order::an_acked_event_is_in_the_log_once
            order::events_of_one_node_keep_the_order_of_its_calls
            order::a_node_receives_its_own_publications
            order::a_burst_arrives_whole_with_no_link_broken
            order::every_room_has_a_log_of_its_own
            subscription::a_subscription_begins_with_opened
            subscription::opened_brings_the_newest_entries_up_to_its_head
            subscription::soon_after_unsubscribe_nothing_comes_any_more
            subscription::a_room_can_be_subscribed_again
            fetch::a_fetch_tells_everything_after_its_cursor
            fetch::a_fetch_at_the_head_is_complete_and_empty
            fetch::a_fetch_reaches_exactly_to_what_was_delivered_before_it
            fetch::a_fetch_before_what_is_kept_tells_nothing
            fetch::a_fetch_in_another_epoch_tells_nothing
            fetch::a_fetch_beyond_the_head_tells_nothing
            direct::what_is_sent_to_an_address_arrives_in_order
            direct::what_is_sent_to_nowhere_is_dropped
            direct::a_flood_in_a_room_delays_no_signal
            live::live_events_are_delivered_once_and_in_no_log
            live::live_and_stored_events_of_one_node_come_in_their_turn
            settings::settings_that_are_put_come_back
            nodes::a_node_knows_itself
            end::busy_means_that_nothing_was_accepted
            end::acks_resolve_to_unavailable_once_the_broker_has_ended
        }
    };
}

/// What several nodes are promised on top.
macro_rules! keeps_its_promises_to_a_cluster {
    ($fabric:ty) => {
        keeps! { $fabric:
            order::all_nodes_see_one_order
            subscription::a_late_subscriber_gets_opened_and_then_everything
            direct::what_is_sent_to_an_address_arrives_at_no_other_node
            direct::what_is_sent_to_a_user_or_to_everybody_arrives_at_every_node_once
            counts::counts_reach_the_others_and_replace_what_was_there
            counts::counts_reach_only_nodes_that_are_subscribed
            counts::a_late_subscriber_learns_the_counts_of_the_others
            counts::a_node_that_is_gone_counts_for_nothing
            live::live_events_reach_every_node_that_is_subscribed
            settings::settings_reach_every_node_those_that_start_later_too
            nodes::a_node_is_known_by_its_last_announcement_until_it_is_gone
            end::a_node_that_is_dropped_does_not_stall_the_others
        }
    };
}

mod embedded_single {
    keeps_its_promises_to_one_node!(crate::embedded::Single);
}

mod embedded_shared {
    keeps_its_promises_to_one_node!(crate::embedded::Shared);
    keeps_its_promises_to_a_cluster!(crate::embedded::Shared);
}

mod embedded_behind_no_faults {
    keeps_its_promises_to_one_node!(crate::embedded::Faultless);
    keeps_its_promises_to_a_cluster!(crate::embedded::Faultless);
}

mod nats_oldest {
    keeps_its_promises_to_one_node!(crate::nats::Oldest);
    keeps_its_promises_to_a_cluster!(crate::nats::Oldest);
}

mod nats_newest {
    keeps_its_promises_to_one_node!(crate::nats::Newest);
    keeps_its_promises_to_a_cluster!(crate::nats::Newest);
}
