//! The real binary as a process.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

use super::http::{self, Api};
use super::{soon, until};

/// Lines of the log that may wait to be looked at; the thread that reads them waits otherwise.
const LINES_MAX: usize = 64;

const BINARY: &str = env!("CARGO_BIN_EXE_barrage-gateway");

/// A gateway of its own process, ready. Killed when dropped.
pub(crate) struct GatewayProcess {
    child: Child,
    log: Option<JoinHandle<()>>,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) api: Api,
}

impl GatewayProcess {
    /// The window over which goodbyes are spread in development, and what clients have after it.
    pub(crate) const WINDOW: Duration = Duration::from_secs(5);
    pub(crate) const GRACE: Duration = Duration::from_secs(10);

    /// Starts it for development on free ports, with more arguments.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        Self::start_program(OsStr::new(BINARY), arguments).await
    }

    /// The same in a process that may not open more files than that.
    pub(crate) async fn start_with_files(files: u32, arguments: &[&str]) -> Self {
        let limit = format!("ulimit -n {files} && exec {BINARY} \"$@\"");
        let before = ["-c", &limit, "gateway"];
        Self::start_by(OsStr::new("sh"), &before, arguments).await
    }

    /// The same with a gateway of another build.
    pub(crate) async fn start_program(program: &OsStr, arguments: &[&str]) -> Self {
        Self::start_by(program, &[], arguments).await
    }

    async fn start_by(program: &OsStr, before: &[&str], arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BARRAGE_")) {
            command.env_remove(name);
        }
        let mut child = command
            .args(before)
            .args(["--dev", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .args(arguments)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let log = BufReader::new(child.stderr.take().unwrap());
        let (lines, mut told) = mpsc::channel(LINES_MAX);
        let log = std::thread::spawn(move || {
            // Read to the end, wanted or not: a full pipe would hold the process up.
            for line in log.lines().map_while(Result::ok) {
                let _ = lines.blocking_send(line);
            }
        });
        let (public, admin) = soon("the addresses in the log", async {
            loop {
                let line = told.recv().await.expect("a log until the start");
                if let (Some(public), Some(admin)) = (field(&line, "public"), field(&line, "admin"))
                {
                    return (public, admin);
                }
            }
        })
        .await;
        drop(told);
        let process = Self { child, log: Some(log), public, admin, api: Api::dev(admin) };
        until("readiness", || async {
            (http::request(admin, "GET", "/readyz", &[], b"").await.status == 200).then_some(())
        })
        .await;
        process
    }

    /// Sends it a signal (`TERM`, `INT`).
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let sent = Command::new("sh").arg("-c").arg(kill).status();
        assert!(sent.unwrap().success(), "the signal reaches the process");
    }

    /// Waits for its end; returns the exit code.
    pub(crate) async fn ends(&mut self) -> Option<i32> {
        let child = std::cell::RefCell::new(&mut self.child);
        let look = || async { child.borrow_mut().try_wait().unwrap() };
        until("the end of the process", look).await.code()
    }

    /// Memory that it has in use, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The part of it that no file stands behind, in bytes: what is left without the pages of the
    /// program itself, which come as its code is first run.
    pub(crate) fn anonymous_bytes(&self) -> u64 {
        self.memory("RssAnon:")
    }

    fn memory(&self, what: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().unwrap();
        kib * 1024
    }
}

impl Drop for GatewayProcess {
    fn drop(&mut self) {
        // Fails if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(log) = self.log.take() {
            let _ = log.join();
        }
    }
}

/// The address in `name=…`.
fn field(line: &str, name: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(&format!("{name}="))?;
    rest.split_whitespace().next()?.parse().ok()
}
