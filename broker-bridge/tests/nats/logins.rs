//! Every way in which a gateway may prove who it is, at servers that let in nobody else.

use std::path::PathBuf;
use std::time::Duration;

use broker_bridge::nats::{Config, Login, Secret};
use nkeys::KeyPair;
use rig::nats::{Binary, Nats as Server, Options};
use rig::wait::until;
use tempfile::TempDir;

use crate::jwt;
use crate::support::{Gateway, config, room};

/// Whoever has this login is let in, and whoever has another one is not.
async fn only_this_one_is_let_in(more: String, login: Login, others: Vec<Login>) {
    for binary in Binary::all() {
        let options = Options { more: more.clone(), ..Options::default() };
        let server = Server::single_with(&binary, &options).await;
        let with = |login: &Login| Config { login: login.clone(), ..config(&server.url()) };
        for (nth, other) in others.iter().enumerate() {
            let stranger = Gateway::start(with(other)).await;
            let is_refused = || async {
                let refusals = server.nodes()[0].log().matches("authentication error").count();
                (refusals > nth).then_some(())
            };
            until("a refusal", is_refused).await;
            assert!(!stranger.deliveries.status.borrow().reachable, "{other:?} is let in");
            // It tries again and again, until it is let go.
            stranger.nats.shutdown().await;
        }
        let mut gateway = Gateway::ready(with(&login)).await;
        let room = room("a");
        gateway.open(&room).await;
        gateway.store(&room, 1).await;
        assert_eq!(gateway.next_in_short(&room).await, "entry [1]");
    }
}

fn file(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn password(user: &str, password: &str) -> Login {
    Login::Password { user: user.into(), password: Secret(password.into()) }
}

#[tokio::test]
async fn a_user_with_a_password() {
    let more = "authorization { user: gateway, password: secret }".into();
    let others = vec![Login::None, password("gateway", "guess"), password("other", "secret")];
    only_this_one_is_let_in(more, password("gateway", "secret"), others).await;
}

#[tokio::test]
async fn a_token() {
    let token = |text: &str| Login::Token(Secret(text.into()));
    let more = "authorization { token: \"s3cret\" }".into();
    only_this_one_is_let_in(more, token("s3cret"), vec![Login::None, token("guess")]).await;
}

#[tokio::test]
async fn the_seed_of_an_nkey() {
    let folder = TempDir::new().unwrap();
    let (own, other) = (KeyPair::new_user(), KeyPair::new_user());
    // As `nk -gen user` writes it, with a line end.
    let login = |name: &str, key: &KeyPair| {
        Login::NkeySeed(file(&folder, name, &format!("{}\n", key.seed().unwrap())))
    };
    let more = format!("authorization {{ users: [ {{ nkey: {} }} ] }}", own.public_key());
    let others = vec![Login::None, login("other", &other)];
    only_this_one_is_let_in(more, login("own", &own), others).await;
}

#[tokio::test]
async fn a_credentials_file() {
    let folder = TempDir::new().unwrap();
    let (own, other) = (jwt::Trust::found(), jwt::Trust::found());
    let login = |name: &str, trust: &jwt::Trust| {
        Login::Credentials(file(&folder, name, &trust.credentials()))
    };
    let others = vec![Login::None, login("other", &other)];
    only_this_one_is_let_in(own.config(), login("own", &own), others).await;
}

#[tokio::test]
async fn a_file_that_is_not_there_is_told_at_once() {
    let missing = PathBuf::from("/nowhere/gateway.creds");
    for login in [Login::Credentials(missing.clone()), Login::NkeySeed(missing)] {
        let config = Config { login, ..config("nats://127.0.0.1:1") };
        let starting = tokio::time::timeout(Duration::from_secs(10), Gateway::try_start(config));
        let Err(error) = starting.await.expect("an answer") else { panic!("it has started") };
        assert!(error.to_string().contains("/nowhere/gateway.creds"), "{error}");
    }
}
