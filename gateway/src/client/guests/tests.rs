//! The limits before and after the handshake, by the clock of the test.

use super::*;

const RULES: GuestRules = GuestRules {
    connections_max: 10,
    connections_per_user_max: 2,
    address_limits: AddressLimits::On,
    address_connections_max: 3,
    address_handshakes: Rate { burst: 5, period: Duration::from_secs(1) },
};

const REFUSALS: u32 = 1_024;

fn hosting(rules: GuestRules) -> Guests {
    let places = Places { connections: rules.connections_max, refusals: REFUSALS };
    Guests::new(rules, places)
}

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn from(address: &str) -> Neighbourhood {
    Neighbourhood::from(address.parse::<IpAddr>().unwrap())
}

fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

#[test]
fn a_full_gateway_takes_nobody_until_somebody_leaves() {
    let mut guests = hosting(RULES);
    for _ in 0..10 {
        assert_eq!(guests.enter(None, at(0)), Ok(()));
    }
    assert_eq!(guests.enter(None, at(0)), Err(Denied::Full));
    guests.leave(None);
    assert_eq!(guests.enter(None, at(0)), Ok(()));
}

#[test]
fn an_address_has_its_own_limits_and_a_refused_connection_counts_nowhere() {
    let mut guests = hosting(RULES);
    let (mine, yours) = (from("192.0.2.1"), from("192.0.2.2"));
    for _ in 0..3 {
        assert_eq!(guests.enter(Some(mine), at(0)), Ok(()));
    }
    assert_eq!(guests.enter(Some(mine), at(0)), Err(Denied::AddressConnections));
    assert_eq!(guests.connections, 3);
    assert_eq!(guests.enter(Some(yours), at(0)), Ok(()));
    guests.leave(Some(mine));
    assert_eq!(guests.enter(Some(mine), at(0)), Ok(()));
}

#[test]
fn handshakes_of_an_address_are_told_when_to_come_back() {
    let mut guests = hosting(RULES);
    let mine = from("192.0.2.1");
    for _ in 0..5 {
        assert_eq!(guests.knock(mine, at(0)), Ok(()));
    }
    assert_eq!(guests.knock(mine, at(0)), Err(Denied::AddressHandshakes(at(200))));
    assert_eq!(guests.knock(from("192.0.2.2"), at(0)), Ok(()));
    assert_eq!(guests.knock(mine, at(200)), Ok(()));
}

#[test]
fn a_network_of_ipv6_counts_as_one_address_and_a_mapped_one_as_what_it_maps() {
    assert_eq!(from("2001:db8:0:1::1"), from("2001:db8:0:1:ffff::2"));
    assert_ne!(from("2001:db8:0:1::1"), from("2001:db8:0:2::1"));
    assert_eq!(from("::ffff:192.0.2.1"), from("192.0.2.1"));
}

#[test]
fn without_rules_for_addresses_nothing_is_kept_about_them() {
    let mut guests = hosting(GuestRules { address_limits: AddressLimits::Off, ..RULES });
    for _ in 0..10 {
        assert_eq!(guests.knock(from("192.0.2.1"), at(0)), Ok(()));
        assert_eq!(guests.enter(Some(from("192.0.2.1")), at(0)), Ok(()));
    }
    assert!(guests.addresses.is_empty());
}

#[test]
fn connections_of_a_user_are_counted_and_share_one_limiter() {
    let mut guests = hosting(RULES);
    let first = guests.seat(&user("42"), at(0)).unwrap();
    let second = guests.seat(&user("42"), at(0)).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(guests.seat(&user("42"), at(0)).unwrap_err(), Denied::UserConnections);
    assert!(guests.seat(&user("43"), at(0)).is_ok());
    guests.unseat(&user("42"), at(0));
    assert!(guests.seat(&user("42"), at(0)).is_ok());
}

#[test]
fn coming_back_does_not_renew_what_a_user_may_publish() {
    const RATE: Rate = Rate { burst: 2, period: Duration::from_secs(2) };
    let mut guests = hosting(RULES);
    let publishes = guests.seat(&user("42"), at(0)).unwrap();
    assert_eq!(publishes.admit(RATE, 2, at(0)), Verdict::Accept);
    guests.unseat(&user("42"), at(0));
    let publishes = guests.seat(&user("42"), at(500)).unwrap();
    assert_eq!(publishes.admit(RATE, 1, at(500)), Verdict::Wait(at(500)));
}

#[test]
fn who_has_gone_is_forgotten_when_rates_have_recovered() {
    let mut guests = hosting(GuestRules { connections_max: 100_000, ..RULES });
    for n in 0..50_000_u32 {
        let address = Neighbourhood::V4(n.to_be_bytes());
        guests.knock(address, at(0)).unwrap();
        guests.enter(Some(address), at(0)).unwrap();
        let name = user(&n.to_string());
        guests.seat(&name, at(0)).unwrap();
        guests.unseat(&name, at(0));
        guests.leave(Some(address));
    }
    assert!(guests.users.is_empty());
    guests.knock(from("192.0.2.1"), at(5_000)).unwrap();
    assert_eq!(guests.addresses.len(), 1);
    assert!(guests.addresses.capacity() < 5_000, "{}", guests.addresses.capacity());
}

#[test]
fn strangers_from_everywhere_cannot_fill_the_memory() {
    let mut guests = hosting(RULES);
    let all = (0..100_000_u32).map(|n| Neighbourhood::V4(n.to_be_bytes()));
    let known = all.filter(|address| guests.knock(*address, at(0)).is_ok()).count();
    assert_eq!(known, IDLE_MAX + 10);
}

#[test]
fn only_so_many_wait_to_be_turned_away() {
    let mut guests = hosting(RULES);
    assert!((0..REFUSALS).all(|_| guests.turn_away()));
    assert!(!guests.turn_away());
    guests.turned_away_left();
    assert!(guests.turn_away());
}
