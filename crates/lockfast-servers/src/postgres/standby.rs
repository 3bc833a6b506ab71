//! Servers with a copy of the data of another one.

use std::fs::File;
use std::time::Duration;

use crate::postgres::{Options, Server, address, as_ordinary_user, launch};
use crate::{ports, process};

/// The state in which a server with a copy starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copy {
    /// Follows its primary until it is promoted.
    Standby,
    /// Starts as after a crash at the time of the copy.
    Started,
    /// Is recovered from an archive, in which there is nothing.
    Recovered,
}

impl Server {
    /// Starts the server again as a standby, which has no primary.
    ///
    /// # Panics
    ///
    /// Panics if it does not start.
    pub fn become_standby(&mut self) {
        let signal = self.directory.path().join("data/standby.signal");
        File::create(signal).expect("a file in the directory of the data");
        self.restart();
    }

    /// Starts another server, on the loopback interface, with a copy of the data of this one.
    ///
    /// # Panics
    ///
    /// Panics if there can be no copy, or the server does not start.
    #[must_use]
    pub fn start_copy(&self, kind: Copy) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut copy = as_ordinary_user();
        copy.arg(self.programs.join("pg_basebackup"))
            .arg("--pgdata")
            .arg(directory.path().join("data"))
            .arg(format!("--host={}", address(self.host.as_ref())))
            .arg(format!("--port={}", self.port))
            .args(["--username=postgres", "--checkpoint=fast", "--no-sync"]);
        let mut options = Options::default().release(self.options.release);
        if kind == Copy::Standby {
            copy.arg("--write-recovery-conf");
        }
        let done = copy.output().expect("pg_basebackup can be started");
        assert!(done.status.success(), "{copy:?}: {done:?}");
        if kind == Copy::Recovered {
            let signal = directory.path().join("data/recovery.signal");
            File::create(signal).expect("a file in the directory of the data");
            options = options.setting("restore_command=false");
        }
        let port = ports::free();
        let process = launch(&options, &self.programs, None, port, directory.path());
        let mut started = Self {
            options,
            programs: self.programs.clone(),
            process,
            host: None,
            port,
            authority: None,
            directory,
        };
        started.wait_for_answer();
        started
    }

    /// Waits until this standby has all that its primary has written.
    ///
    /// # Panics
    ///
    /// Panics if it has not in time.
    pub fn catch_up(&self, primary: &Self) {
        let written = primary.query("select pg_current_wal_lsn()");
        let question = format!("select pg_last_wal_replay_lsn() >= '{written}'");
        let has_all = process::within(Duration::from_secs(30), || self.query(&question) == "t");
        assert!(has_all, "the standby does not follow");
    }

    /// Promotes this standby, and waits until it is a primary.
    ///
    /// # Panics
    ///
    /// Panics if it does not become one.
    pub fn promote(&self) {
        assert_eq!(self.query("select pg_promote()"), "t");
    }
}
