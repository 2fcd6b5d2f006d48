//! Keys that an issuer elsewhere publishes: through TLS, from nobody but the issuer, and no more
//! than keys need.

use std::time::{Duration, Instant};

use gateway::config::Config;

use crate::support::gateway::TestGateway;
use crate::support::issuer::Issuer;
use crate::support::tls::Certificate;
use crate::support::tokens::{Signer, assert_turned_away, bearer, claims, closed};

const ALL: [&str; 2] = ["view", "chat"];
const KEY: Signer = Signer::P256("p");
const NEXT: Signer = Signer::Ed25519("next");

/// A gateway that believes an issuer and looks often.
async fn believing(issuer: &Issuer, change: impl FnOnce(&mut Config)) -> TestGateway {
    let url = issuer.url();
    closed(|config| {
        config.auth.jwks_url = Some(url.parse().unwrap());
        config.auth.keys_pause = Duration::from_millis(100);
        config.auth.jwks_every = Duration::from_millis(300);
        change(config);
    })
    .await
}

/// Fails unless keys of the issuer are looked for in vain.
async fn assert_not_believed(gateway: &TestGateway) {
    gateway.until_metric("barrage_key_refreshes_total", "failed", |failed| failed >= 2.0).await;
    // Only the secret of the tests.
    assert_eq!(gateway.metric("barrage_keys", "").await, 1.0);
    assert_turned_away(gateway, &KEY.sign(&claims("42", &ALL)), "unavailable", 4004).await;
}

#[tokio::test]
async fn keys_come_through_tls_and_rotate() {
    let certificate = Certificate::make();
    let issuer = Issuer::secured(&[KEY], &certificate).await;
    let gateway = believing(&issuer, |config| {
        config.auth.jwks_ca_file = Some(certificate.certificate_file());
    })
    .await;
    bearer(&gateway, &KEY.sign(&claims("42", &ALL))).await.join("demo").await;
    issuer.publish(&[NEXT]);
    bearer(&gateway, &NEXT.sign(&claims("42", &ALL))).await.join("demo").await;
    assert_turned_away(&gateway, &KEY.sign(&claims("42", &ALL)), "unauthorized", 4500).await;
    gateway.end().await;
}

#[tokio::test]
async fn nobody_but_the_issuer_is_believed() {
    let (certificate, other) = (Certificate::make(), Certificate::make());
    let issuer = Issuer::secured(&[KEY], &certificate).await;
    // By those whom this machine trusts, by those in a file, by those in no file.
    let not_there = certificate.key_file();
    for file in [None, Some(other.certificate_file()), Some(not_there)] {
        let gateway = believing(&issuer, |config| config.auth.jwks_ca_file = file).await;
        assert_not_believed(&gateway).await;
        gateway.end().await;
    }
    // The certificate is for another name.
    let address = format!("https://{}/keys", issuer.address);
    let gateway = believing(&issuer, |config| {
        config.auth.jwks_ca_file = Some(certificate.certificate_file());
        config.auth.jwks_url = Some(address.parse().unwrap());
    })
    .await;
    assert_not_believed(&gateway).await;
    gateway.end().await;
    assert_eq!(issuer.asked(), 0, "nothing is asked of whom is not believed");
}

#[tokio::test]
async fn an_issuer_that_sends_elsewhere_or_too_much_is_not_followed() {
    let certificate = Certificate::make();
    let issuer = Issuer::secured(&[KEY], &certificate).await;
    let elsewhere = Issuer::start(&[KEY]).await;
    let location = format!("Location: {}\r\n", elsewhere.url());
    let large = format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(300 * 1024));
    for (status, headers, body) in
        [("302 Found", location.as_str(), ""), ("200 OK", "", large.as_str()), ("200 OK", "", "{}")]
    {
        issuer.answer(status, headers, body);
        let gateway = believing(&issuer, |config| {
            config.auth.jwks_ca_file = Some(certificate.certificate_file());
        })
        .await;
        assert_not_believed(&gateway).await;
        gateway.end().await;
    }
    assert_eq!(elsewhere.asked(), 0);
}

#[tokio::test]
async fn an_issuer_that_never_answers_is_not_waited_for_and_holds_up_nobody() {
    let certificate = Certificate::make();
    let issuer = Issuer::secured(&[KEY], &certificate).await;
    issuer.be_silent();
    let gateway = believing(&issuer, |config| {
        config.auth.jwks_ca_file = Some(certificate.certificate_file());
    })
    .await;
    let begun = Instant::now();
    let secret = Signer::Secret(crate::support::tokens::SECRET);
    bearer(&gateway, &secret.sign(&claims("42", &ALL))).await.join("demo").await;
    assert_turned_away(&gateway, &KEY.sign(&claims("42", &ALL)), "unavailable", 4004).await;
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    gateway.until_metric("barrage_key_refreshes_total", "failed", |failed| failed >= 1.0).await;
    gateway.end().await;
}
