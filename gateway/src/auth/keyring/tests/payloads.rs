//! Payloads that an issuer got wrong, or somebody who has a key made up.

use proptest::prelude::*;

use super::*;
use crate::auth::claims::Expected;

fn verify(payload: &Value) -> Result<Claims, TokenFault> {
    let signer = Signer::Secret(SECRET);
    ring([signer.public(None)]).verify(&signer.mint(None, payload), NOW_S)
}

/// The verdict on the claims that a token needs, and one more.
fn with(claim: &str, value: Value) -> Result<Claims, TokenFault> {
    let mut payload = payload();
    payload[claim] = value;
    verify(&payload)
}

fn is_wrong(verdict: &Result<Claims, TokenFault>) -> bool {
    matches!(verdict, Err(TokenFault::Claim(_)))
}

#[test]
fn a_token_must_end_and_say_who_it_is() {
    for payload in [
        json!({}),
        json!({ "sub": "42" }),
        json!({ "sub": "42", "exp": null }),
        json!({ "sub": "42", "exp": "1860000000" }),
        json!({ "sub": "42", "exp": -1 }),
        json!({ "sub": "42", "exp": 1e300 }),
        json!({ "sub": "42", "exp": [NOW_S + 60] }),
        json!({ "exp": NOW_S + 60 }),
    ] {
        assert!(is_wrong(&verify(&payload)), "{payload}");
    }
    for payload in [json!([]), json!("x"), json!(null)] {
        assert_eq!(verify(&payload), Err(TokenFault::Malformed), "{payload}");
    }
}

#[test]
fn an_issuer_and_an_audience_that_are_expected_must_be_named() {
    let verify = |expected: &Expected, claim: &str, value: Value| {
        let signer = Signer::Secret(SECRET);
        let mut payload = payload();
        payload[claim] = value;
        let ring = ring([signer.public(None)]).expecting(expected.clone());
        ring.verify(&signer.mint(None, &payload), NOW_S)
    };
    let issuer = Expected { issuer: Some("me".to_owned()), ..Expected::default() };
    assert!(verify(&issuer, "iss", json!("me")).is_ok());
    for other in [json!("ME"), json!(["me"]), json!(null), json!("me ")] {
        assert!(is_wrong(&verify(&issuer, "iss", other.clone())), "{other}");
    }
    let audience = Expected { audience: Some("us".to_owned()), ..Expected::default() };
    assert!(verify(&audience, "aud", json!("us")).is_ok());
    assert!(verify(&audience, "aud", json!(["them", "us"])).is_ok());
    for other in [json!("them"), json!(["them"]), json!([]), json!(null), json!({ "us": 1 })] {
        assert!(is_wrong(&verify(&audience, "aud", other.clone())), "{other}");
    }
}

#[test]
fn claims_of_the_wrong_type_or_size_are_refused() {
    let grant = json!({ "room": "demo", "can": ["view"] });
    for (claim, values) in [
        ("sub", vec![json!(42), json!(""), json!("x".repeat(65)), json!("a\u{202e}b"), json!({})]),
        ("name", vec![json!(1), json!(["x"])]),
        ("level", vec![json!("12"), json!(-1), json!(1.5), json!(4_294_967_296_u64)]),
        (
            "roles",
            vec![json!("owner"), json!([1]), json!(["x".repeat(33)]), json!(vec!["owner"; 9])],
        ),
        ("nbf", vec![json!("now"), json!({})]),
        (
            "rooms",
            vec![
                json!({}),
                json!("demo"),
                json!(["demo"]),
                json!([{ "room": "demo" }]),
                json!([{ "can": ["view"] }]),
                json!([{ "room": "", "can": ["view"] }]),
                json!([{ "room": "demo", "can": "view" }]),
                json!([{ "room": "demo", "can": [1] }]),
                json!([{ "room": "demo", "can": vec!["view"; 17] }]),
                json!([{ "room": "x".repeat(97), "can": ["view"] }]),
                json!([{ "room": "a\u{200b}b", "can": ["view"] }]),
                Value::from(vec![grant.clone(); 65]),
            ],
        ),
    ] {
        for value in values {
            assert!(is_wrong(&with(claim, value.clone())), "{claim}: {value}");
        }
    }
    assert!(with("rooms", Value::from(vec![grant; 64])).is_ok());
}

#[test]
fn what_is_for_show_is_cut_and_what_is_left_out_is_nothing() {
    let name = with("name", json!("x".repeat(100))).unwrap().user.name.unwrap();
    assert_eq!(name.chars().count(), 32);
    assert_eq!(with("name", json!(" \u{200b} ")).unwrap().user.name, None);
    assert!(with("roles", json!(["\u{200b}", "a", "a"])).unwrap().user.roles.len() == 1);
    for claim in ["name", "level", "roles", "rooms", "nbf", "iat"] {
        assert_eq!(with(claim, Value::Null), verify(&payload()), "{claim}");
    }
    assert!(!verify(&payload()).unwrap().grants.may("demo", Right::View), "no rooms: none");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
        Just(json!("view")),
        Just(json!("*")),
    ];
    leaf.prop_recursive(4, 32, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map("(room|can|[a-z]{0,3})", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_payload_panics_or_breaks_a_bound(
        claims in prop::collection::btree_map("(sub|exp|nbf|iat|name|level|roles|rooms)", any_json(), 0..9),
        good in any::<bool>(),
    ) {
        let mut payload = Value::Object(claims.into_iter().collect());
        if good {
            payload["sub"] = json!("42");
            payload["exp"] = json!(NOW_S + 60);
        }
        if let Ok(Claims { user, expires_s, .. }) = verify(&payload) {
            prop_assert!(expires_s > NOW_S);
            prop_assert!(user.name.is_none_or(|name| (1..=32).contains(&name.chars().count())));
            prop_assert!(user.roles.len() <= 8);
        }
    }
}

#[test]
fn deep_payloads_are_refused_without_a_deep_stack() {
    let signer = Signer::Secret(SECRET);
    let deep = format!(
        r#"{{"sub":"42","exp":{},"x":{}{}}}"#,
        NOW_S + 60,
        "[".repeat(2_500),
        "]".repeat(2_500)
    );
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#);
    let text = format!("{header}.{}", URL_SAFE_NO_PAD.encode(deep));
    let (algorithm, key) = signer.key();
    let signature = jsonwebtoken::crypto::sign(text.as_bytes(), &key, algorithm).unwrap();
    let token = format!("{text}.{signature}");
    assert_eq!(fault(&ring([signer.public(None)]), &token), TokenFault::Malformed);
}
