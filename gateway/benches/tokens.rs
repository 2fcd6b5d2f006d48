//! What a handshake pays for its token: the whole judgement, by algorithm.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros make functions without docs"
)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use gateway::bench::TokenStage;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

const NOW_S: u64 = 1_760_000_000;
const SECRET: &[u8] = b"a secret of the benches, long enough";

macro_rules! key_file {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/", $name, ".pem"))
    };
}

fn tokens(c: &mut Criterion) {
    let rsa = EncodingKey::from_rsa_pem(key_file!("rsa.private")).unwrap();
    let p256 = EncodingKey::from_ec_pem(key_file!("p256.private")).unwrap();
    let ed25519 = EncodingKey::from_ed_pem(key_file!("ed25519.private")).unwrap();
    let public = |pem| TokenStage::with_pem(pem).unwrap();
    let mut group = c.benchmark_group("token");
    for (algorithm, key, stage) in [
        (Algorithm::HS256, EncodingKey::from_secret(SECRET), TokenStage::with_secret(SECRET)),
        (Algorithm::RS256, rsa, public(key_file!("rsa"))),
        (Algorithm::ES256, p256, public(key_file!("p256"))),
        (Algorithm::EdDSA, ed25519, public(key_file!("ed25519"))),
    ] {
        let rooms = json!([{ "room": "live-7", "can": ["view", "chat"] }]);
        let claims = json!({ "sub": "42", "name": "小明", "exp": NOW_S + 60, "rooms": rooms });
        let good = encode(&Header::new(algorithm), &claims, &key).unwrap();
        // Forged ones are what a gateway must bear too.
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let other = if signature.starts_with('A') { 'B' } else { 'A' };
        let forged = format!("{signed}.{other}{}", &signature[1..]);
        assert!(stage.is_good(&good, NOW_S) && !stage.is_good(&forged, NOW_S));
        group.bench_function(format!("{algorithm:?}"), |b| {
            b.iter(|| stage.is_good(black_box(&good), NOW_S));
        });
        group.bench_function(format!("{algorithm:?}_forged"), |b| {
            b.iter(|| stage.is_good(black_box(&forged), NOW_S));
        });
    }
    group.finish();
}

criterion_group!(benches, tokens);
criterion_main!(benches);
