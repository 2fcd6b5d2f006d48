//! The configuration of the real binary: what it refuses, what it prints, and what it takes up
//! while it runs.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use gateway::config::{reference, sample};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::gateway::metric;
use crate::support::http::{self, Api};
use crate::support::until;

const SECRET: &str = "hunter2";
const RELOADS: &str = "barrage_config_reloads_total";

/// The binary, without what stands in the environment of the tests.
fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barrage-gateway"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BARRAGE_")) {
        command.env_remove(name);
    }
    command.env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn output(arguments: &[&str]) -> Output {
    binary().args(arguments).env("BARRAGE_API_KEY", SECRET).output().unwrap()
}

/// A folder of its own below the folder for builds.
fn folder(name: &str) -> PathBuf {
    let folder = format!("config-{name}-{}", std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn what_cannot_be_used_ends_with_code_2_and_every_reason() {
    let folder = folder("faults");
    let file = folder.join("barrage.toml");
    std::fs::write(&file, "[rooms]\ntick_ms = 0\n").unwrap();
    let file = file.to_str().unwrap();
    let refused = output(&["--config", file, "--shards", "none", "--api-key", "hunter2 "]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stdout.is_empty());
    let told = text(&refused.stderr);
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines[0], "the configuration cannot be used:");
    assert!(lines[1].starts_with(&format!("  {file}:2: rooms.tick_ms = 0: must be ")), "{told}");
    assert!(lines[2].starts_with("  --shards none: must be "), "{told}");
    assert!(lines[3].starts_with("  --api-key (set): "), "{told}");
    assert_eq!(lines.len(), 4, "{told}");
    assert!(!told.contains(SECRET));
    std::fs::remove_dir_all(folder).unwrap();
    assert_eq!(output(&["--no-such-flag"]).status.code(), Some(2));
}

#[test]
fn the_result_can_be_printed_without_secrets() {
    let printed = output(&["--tick", "250", "--print-config"]);
    assert_eq!(printed.status.code(), Some(0));
    let told = text(&printed.stdout);
    assert!(told.contains("tick_ms = 250 # --tick\n"), "{told}");
    assert!(told.contains("key = \"(set)\" # BARRAGE_API_KEY\n") && !told.contains(SECRET));
    let refused = output(&["--tick", "0", "--print-config"]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0));
}

#[test]
fn whoever_looks_at_the_result_is_told_what_is_strange() {
    let printed = binary().arg("--print-config").env("BARRAGE_LISTEM", "x").output().unwrap();
    assert_eq!(printed.status.code(), Some(0));
    let warning = "BARRAGE_LISTEM is no setting; did you mean BARRAGE_LISTEN?";
    assert_eq!(text(&printed.stderr), format!("warning: {warning}\n"));
    assert!(!text(&printed.stdout).contains("LISTEM"), "the result is a file");
}

#[test]
fn the_reference_and_the_sample_can_be_printed() {
    assert_eq!(text(&output(&["--print-config-reference"]).stdout), reference());
    assert_eq!(text(&output(&["--print-config-sample"]).stdout), sample());
}

/// A gateway whose files can be changed. Killed when dropped.
struct Reloading {
    child: Child,
    folder: PathBuf,
    admin: SocketAddr,
    public: SocketAddr,
}

impl Reloading {
    /// Starts it with a file and a file of keys.
    async fn start(name: &str, file: &str, keys: &str) -> Self {
        let folder = folder(name);
        std::fs::write(folder.join("keys"), keys).unwrap();
        std::fs::write(folder.join("barrage.toml"), file).unwrap();
        let child = binary()
            .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--shards", "1"])
            .args(["--config", "barrage.toml"])
            .current_dir(&folder)
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        let none = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut started = Self { child, folder, admin: none, public: none };
        let line = started.until_logged(" started ").await;
        let field = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}=")).unwrap();
            rest.split_whitespace().next().unwrap().parse().unwrap()
        };
        (started.public, started.admin) = (field("public"), field("admin"));
        started
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap()
    }

    /// The first line of the log that holds a text, once there is one.
    async fn until_logged(&self, part: &str) -> String {
        until(part, || async {
            let log = self.log();
            // The last line may still be being written.
            let whole = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            whole.into_iter().find(|line| line.contains(part)).map(str::to_owned)
        })
        .await
    }

    /// Changes a file, asks for a reload, and waits until so many have had this outcome.
    async fn reload(&self, name: &str, text: &str, outcome: &str, count: u32) {
        std::fs::write(self.folder.join(name), text).unwrap();
        let kill = format!("kill -HUP {}", self.child.id());
        let sent = Command::new("sh").arg("-c").arg(kill).status().unwrap();
        assert!(sent.success());
        until(outcome, || async {
            let reloads = metric(self.admin, RELOADS, outcome).await;
            (reloads >= f64::from(count)).then_some(())
        })
        .await;
        assert_eq!(metric(self.admin, RELOADS, outcome).await, f64::from(count));
    }

    /// The status with which the server API answers this key.
    async fn status(&self, key: &str) -> u16 {
        let api = Api { admin: self.admin, bearer: format!("Bearer {key}") };
        api.get("/v1/rooms/demo").await.status
    }
}

impl Drop for Reloading {
    fn drop(&mut self) {
        // Fails if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn keys_are_rotated_without_a_restart() {
    let gateway = Reloading::start("keys", "api.key_file = 'keys'\n", "old-key\n").await;
    assert_eq!(metric(gateway.admin, RELOADS, "").await, 0.0);
    let states = async || (gateway.status("old-key").await, gateway.status("new-key").await);
    assert_eq!(states().await, (200, 401));
    gateway.reload("keys", "old-key\nnew-key\n", "applied", 1).await;
    assert_eq!(states().await, (200, 200));
    gateway.reload("keys", "new-key\n", "applied", 2).await;
    assert_eq!(states().await, (401, 200));
    gateway.reload("barrage.toml", "api.key = 'old-key'\n", "applied", 3).await;
    assert_eq!(states().await, (200, 401));
    gateway.until_logged("changed=\"api.key api.key_file\"").await;
    assert!(!gateway.log().contains("-key"), "a key in the log:\n{}", gateway.log());
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_its_faults_are_logged() {
    let gateway = Reloading::start("broken", "api.key_file = 'keys'\n", "old-key\n").await;
    let broken = "api.key = 'new-key'\nlog = 'loud'\nrooms.tik_ms = 5\n";
    gateway.reload("barrage.toml", broken, "refused", 1).await;
    assert_eq!((gateway.status("old-key").await, gateway.status("new-key").await), (200, 401));
    let warning = gateway.until_logged("nothing reloaded").await;
    assert!(warning.contains("WARN") && warning.contains("faults=2"), "{warning}");
    gateway.until_logged("barrage.toml:2: log = \"loud\": must be ").await;
    gateway.until_logged("barrage.toml:3: rooms.tik_ms: ").await;
    gateway.reload("keys", "", "refused", 2).await;
    std::fs::remove_file(gateway.folder.join("barrage.toml")).unwrap();
    gateway.reload("keys", "old-key\n", "refused", 3).await;
    assert_eq!(gateway.status("old-key").await, 200);
    assert_eq!(metric(gateway.admin, RELOADS, "applied").await, 0.0);
    gateway.reload("barrage.toml", "api.key = 'new-key'\n", "applied", 1).await;
    assert_eq!((gateway.status("old-key").await, gateway.status("new-key").await), (401, 200));
}

#[tokio::test]
async fn the_log_follows_and_what_needs_a_restart_is_named() {
    let gateway = Reloading::start("log", "log = 'info'\n", "").await;
    let break_off = async || {
        let mut socket = TcpStream::connect(gateway.public).await.unwrap();
        socket.write_all(b"this is no request\r\n\r\n").await.unwrap();
    };
    let text = "log = 'debug'\nbase_path = '/live'\n[clients]\nstuck = '9s'\n";
    gateway.reload("barrage.toml", text, "applied", 1).await;
    let warning = gateway.until_logged("need a restart").await;
    assert!(warning.contains("keys=\"base_path clients.stuck\""), "{warning}");
    gateway.until_logged("changed=\"log\"").await;
    until("a louder log", || async {
        break_off().await;
        gateway.log().contains("DEBUG").then_some(())
    })
    .await;
    let page = http::request(gateway.public, "GET", "/client.json", &[], b"").await;
    assert_eq!(page.status, 200, "the base path is as it was");
    gateway.reload("barrage.toml", "log = 'off'\n", "applied", 2).await;
    let length = gateway.log().len();
    break_off().await;
    gateway.reload("barrage.toml", "log = 'off'\n", "applied", 3).await;
    assert_eq!(gateway.log().len(), length);
}
