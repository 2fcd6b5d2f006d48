//! A process that can be hurt, and does not outlive its test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, WaitId, WaitIdOptions, kill_process, waitid};

pub use rustix::process::Signal;

use crate::wait::until;

/// The end of a log that is shown when a test has failed.
const LINES_SHOWN: usize = 30;

/// A running, paused or ended process. Killed when dropped; if the test is failing, the end of
/// its log is shown.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it; what it writes is appended to a file.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).expect("a log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        Self { name: name.to_owned(), child, log: log.to_owned() }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Sends it a signal; one that has ended gets none.
    ///
    /// # Panics
    /// The signal cannot be sent.
    pub fn signal(&mut self, signal: Signal) {
        if !self.has_ended() {
            kill_process(self.pid(), signal).unwrap();
        }
    }

    fn pid(&self) -> Pid {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        pid.expect("a process id")
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }

    /// Asks it to end; see [`Process::ended`].
    pub fn terminate(&mut self) {
        self.signal(Signal::TERM);
    }

    /// Holds it: it keeps its sockets and does nothing. Returns when the last of its threads has
    /// stopped: a busy one goes on for a moment after the signal.
    ///
    /// # Panics
    /// It cannot be waited for.
    pub fn pause(&mut self) {
        if self.has_ended() {
            return;
        }
        self.signal(Signal::STOP);
        // Its end, if that was faster, stays to be waited for.
        let held = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(self.pid()), held).unwrap();
    }

    /// Lets it go on.
    pub fn resume(&mut self) {
        self.signal(Signal::CONT);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// It does not end.
    pub async fn ended(&mut self) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        let child = std::cell::RefCell::new(&mut self.child);
        until(&what, || async { child.borrow_mut().try_wait().unwrap() }).await
    }

    /// Everything that it has written.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    #[allow(clippy::print_stderr, reason = "shown by the test runner if the test fails")]
    fn drop(&mut self) {
        // Fail if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
            eprintln!("--- the log of {} ends with\n{}", self.name, last.join("\n"));
        }
    }
}
