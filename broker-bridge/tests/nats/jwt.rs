//! An operator with one account and one user, as NATS's decentralized logins have them: signed
//! claims that a server trusts without knowing the user.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use nkeys::KeyPair;
use serde_json::{Value, json};

/// Who signs for whom.
pub(crate) struct Trust {
    operator: KeyPair,
    system: KeyPair,
    account: KeyPair,
    user: KeyPair,
}

impl Trust {
    /// New keys for everybody.
    pub(crate) fn found() -> Self {
        Self {
            operator: KeyPair::new_operator(),
            system: KeyPair::new_account(),
            account: KeyPair::new_account(),
            user: KeyPair::new_user(),
        }
    }

    /// What a server is told: the operator, and its accounts.
    pub(crate) fn config(&self) -> String {
        let operator = signed(&self.operator, &self.operator, json!({ "type": "operator" }));
        let accounts = [(&self.system, 0), (&self.account, -1)].map(|(account, storage)| {
            let jwt = signed(&self.operator, account, may_use(storage));
            format!("{}: {jwt}", account.public_key())
        });
        format!(
            "operator: {operator}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{\n{}\n}}",
            self.system.public_key(),
            accounts.join("\n")
        )
    }

    /// The user's file, as `nsc generate creds` writes it.
    pub(crate) fn credentials(&self) -> String {
        let claims = json!({ "type": "user", "subs": -1, "data": -1, "payload": -1 });
        let jwt = signed(&self.account, &self.user, claims);
        let seed = self.user.seed().unwrap();
        format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
    }
}

/// An account without limits but that of what it may store; -1 is none.
fn may_use(storage: i64) -> Value {
    json!({
        "type": "account",
        "limits": {
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
            "wildcards": true, "conn": -1, "leaf": -1,
            "mem_storage": storage, "disk_storage": storage, "streams": storage, "consumer": storage
        }
    })
}

/// A JWT in which somebody says something about a subject.
fn signed(issuer: &KeyPair, subject: &KeyPair, mut nats: Value) -> String {
    nats["version"] = json!(2);
    let claims = json!({
        "jti": subject.public_key(), "iat": 1_700_000_000, "name": "test",
        "iss": issuer.public_key(), "sub": subject.public_key(), "nats": nats
    });
    let header = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let parts = [header, claims].map(|part| BASE64.encode(part.to_string()));
    let text = parts.join(".");
    let signature = issuer.sign(text.as_bytes()).unwrap();
    format!("{text}.{}", BASE64.encode(signature))
}
