//! Executes child processes that keep chosen descriptors, and names them by descriptor, so that no
//! process id is taken for another.
#![allow(unsafe_code)] // a step between fork and exec

use super::process::PidFd;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::wait::WaitStatus;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What to execute.
#[derive(Clone, Debug)]
pub struct Program {
    /// The executable, usually `/proc/self/exe`.
    pub path: PathBuf,
    /// What it calls itself in `ps`.
    pub name: String,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Environment variables beside the inherited ones.
    pub environment: Vec<(String, String)>,
}

/// A child process that has not been reaped.
#[derive(Debug)]
pub struct Child {
    id: u32,
    pidfd: PidFd,
}

impl Child {
    /// Executes `program` in a new process that keeps `inherited` open, under their own numbers. Its
    /// signal mask is empty, its standard input is closed.
    ///
    /// # Errors
    /// Those of fork, exec and `pidfd_open`.
    pub fn start(program: &Program, inherited: &[RawFd]) -> io::Result<Child> {
        let keep = inherited.to_vec();
        let mut command = Command::new(&program.path);
        command
            .arg0(&program.name)
            .args(&program.arguments)
            .envs(program.environment.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null());
        let clear_close_on_exec = move || {
            for fd in &keep {
                // SAFETY: the caller of `start` holds these descriptors open, and this is a copy of its table.
                let fd = unsafe { BorrowedFd::borrow_raw(*fd) };
                fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
            }
            Ok(())
        };
        // SAFETY: between fork and exec the closure only calls fcntl, which is async-signal-safe; it
        // neither allocates nor locks. The descriptors' flags change in the child alone.
        unsafe { command.pre_exec(clear_close_on_exec) };
        let mut child = command.spawn()?;
        let id = child.id();
        let pidfd = PidFd::open(id).inspect_err(|_| {
            let _ = child.kill();
            let _ = child.wait();
        })?;
        Ok(Child { id, pidfd })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Ends it with SIGKILL; does nothing if it has ended.
    pub fn kill(&self) {
        self.pidfd.kill();
    }

    /// How it ended, in a few words, once it has. Reaps it: call it no more after it has answered.
    ///
    /// # Errors
    /// When it is no child of this process any more.
    pub fn ended(&self) -> io::Result<Option<String>> {
        Ok(match self.pidfd.try_wait()? {
            Some(WaitStatus::Exited(_, status)) => Some(format!("exited with status {status}")),
            Some(WaitStatus::Signaled(_, signal, _)) => Some(format!("was killed by {signal}")),
            _ => None,
        })
    }
}

impl AsFd for Child {
    /// Readable once the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}
