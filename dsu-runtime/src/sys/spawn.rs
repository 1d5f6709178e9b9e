//! Starts, watches and ends child processes by descriptor, so that no process id is taken for another.
#![allow(unsafe_code)] // descriptors that the kernel hands out become owned here

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
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
    pid: Pid,
    pidfd: OwnedFd,
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
        let child = command.spawn()?;
        let pid = Pid::from_raw(child.id() as i32);
        match pidfd_open(pid) {
            Ok(pidfd) => Ok(Child { pid, pidfd }),
            Err(error) => {
                // Not reaped yet, so the number is still its own.
                let _ = kill(pid, Signal::SIGKILL);
                let _ = waitpid(pid, None);
                Err(error)
            }
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.pid.as_raw() as u32
    }

    /// Sends a signal; does nothing if it has ended.
    pub fn signal(&self, signal: Signal) {
        // Not reaped before `Child` says so, hence never another process.
        let _ = kill(self.pid, signal);
    }

    /// How it ended, in a few words, once it has. Reaps it: call it no more after it has answered.
    ///
    /// # Errors
    /// Those of `waitpid`.
    pub fn ended(&self) -> io::Result<Option<String>> {
        match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, status)) => Ok(Some(format!("exited with status {status}"))),
            Ok(WaitStatus::Signaled(_, signal, _)) => Ok(Some(format!("killed by {signal}"))),
            Ok(_) | Err(Errno::EINTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Child {
    /// Readable once the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

fn pidfd_open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just returned this descriptor to us alone; it is close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}
