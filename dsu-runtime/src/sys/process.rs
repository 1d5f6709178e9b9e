//! Processes: limits that a process puts on itself, descriptors that name a process, and ends that
//! leave nothing behind.
#![allow(unsafe_code)] // system calls that neither std nor nix offers

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// A descriptor that names one process, whatever becomes of its number. Readable once it has ended.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// Names a child of this process that nobody has waited for yet.
    ///
    /// # Errors
    /// When there is no such process, or no descriptor is free.
    pub fn open(pid: u32) -> io::Result<PidFd> {
        // SAFETY: takes two numbers; the result is a new descriptor or -1.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call above has just made this descriptor, and nobody else owns it.
        Ok(PidFd(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
    }

    /// Sends SIGKILL; no effect on a process that has ended.
    pub fn kill(&self) {
        // SAFETY: a live descriptor, no signal information.
        unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.0.as_raw_fd(),
                libc::SIGKILL,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
    }

    /// How the child ended, `None` while it runs. Collects it: a second call fails.
    ///
    /// # Errors
    /// When it is not a child of this process or was collected before.
    pub fn try_wait(&self) -> io::Result<Option<WaitStatus>> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
        match waitid(Id::PIDFd(self.as_fd()), flags)? {
            WaitStatus::StillAlive => Ok(None),
            status => Ok(Some(status)),
        }
    }

    /// Waits until the child has ended and collects it.
    ///
    /// # Errors
    /// As for [`PidFd::try_wait`].
    pub fn wait(&self) -> io::Result<WaitStatus> {
        loop {
            match waitid(Id::PIDFd(self.as_fd()), WaitPidFlag::WEXITED) {
                Err(Errno::EINTR) => {}
                result => return Ok(result?),
            }
        }
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Has the kernel kill this process when the thread that started it ends.
///
/// # Errors
/// None are known; the kernel's is passed on.
pub fn die_with_parent() -> io::Result<()> {
    Ok(prctl::set_pdeathsig(Signal::SIGKILL)?)
}

/// The signal for [`signal_at_parents_death`]: a real-time signal that others seldom use.
pub fn death_signal() -> c_int {
    libc::SIGRTMAX() - 3
}

/// Has the kernel run `handler` in this process when the thread that started it ends. System calls that
/// can go on do so afterwards.
///
/// `handler` must do nothing but what is safe in a signal handler.
///
/// # Errors
/// What sigaction(2) and prctl(2) say.
pub fn signal_at_parents_death(signal: c_int, handler: extern "C" fn(c_int)) -> io::Result<()> {
    // SAFETY: all zero is a valid action: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the action lives through the call and names a function of the type that its flags say,
    // which by the caller's promise may run at any moment; the old action is not asked for.
    let installed = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    // SAFETY: takes numbers.
    if installed < 0 || unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Orphans among the descendants of this process become its children.
///
/// # Errors
/// None are known; the kernel's is passed on.
pub fn adopt_orphans() -> io::Result<()> {
    Ok(prctl::set_child_subreaper(true)?)
}

/// Caps address space, CPU time and core dumps of this process and of what it starts.
///
/// # Errors
/// When a limit that is in force is lower already.
pub fn limit(address_space: u64, cpu: Duration) -> io::Result<()> {
    let seconds = cpu.as_secs().max(1);
    setrlimit(Resource::RLIMIT_AS, address_space, address_space)?;
    setrlimit(Resource::RLIMIT_CPU, seconds, seconds + 1)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    Ok(())
}

/// Lets this process run only when nobody else wants the processor.
///
/// # Errors
/// None are known; the kernel's is passed on.
pub fn run_when_idle() -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the structure lives through the call.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &parameters) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// How much of the time since the start of process `pid`, `elapsed` ago, its main thread was ready to run
/// and did not; zero where the kernel does not say.
///
/// The kernel counts a wait when it is over: of one that is ready at this moment, all the time that it did
/// not run is taken for waiting.
pub fn waited_for_processor(pid: u32, elapsed: Duration) -> Duration {
    let read = |file| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let times = read("schedstat");
    let mut times = times
        .split_whitespace()
        .map_while(|field| Some(Duration::from_nanos(field.parse().ok()?)));
    let (Some(ran), Some(waited)) = (times.next(), times.next()) else {
        return Duration::ZERO;
    };
    // What follows the name, which may hold anything, begins with the state: proc_pid_stat(5).
    let is_ready = read("stat")
        .rsplit_once(')')
        .is_some_and(|(_, rest)| rest.trim_start().starts_with('R'));
    match is_ready {
        true => waited.max(elapsed.saturating_sub(ran)),
        false => waited,
    }
}

/// Puts later children of this process into a process-id namespace of their own, where the end of
/// the first is the end of all. Needs a process with one thread.
///
/// # Errors
/// Where the machine does not allow it, even in a user namespace.
pub fn enclose_children() -> io::Result<()> {
    let alone = libc::CLONE_NEWPID;
    for flags in [alone, alone | libc::CLONE_NEWUSER] {
        // SAFETY: takes a number; changes only namespaces of this process.
        if unsafe { libc::unshare(flags) } == 0 {
            return Ok(());
        }
    }
    Err(io::Error::last_os_error())
}

/// Process ids of the children of the calling thread, ended ones included.
///
/// # Errors
/// Where the kernel does not list them.
pub fn children() -> io::Result<Vec<i32>> {
    let text = std::fs::read_to_string("/proc/thread-self/children")?;
    Ok(text
        .split_whitespace()
        .filter_map(|p| p.parse().ok())
        .collect())
}

/// Number of threads of this process.
///
/// # Errors
/// Where /proc is not readable.
pub fn thread_count() -> io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/task")?.count())
}

/// Kills and collects children until none is left; with [`adopt_orphans`] that is every descendant.
pub fn kill_children() {
    loop {
        for pid in children().unwrap_or_default() {
            let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        match waitpid(Pid::from_raw(-1), None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

/// User and system time of the children that were collected.
pub fn cpu_of_children() -> Duration {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeVal;
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        return Duration::ZERO;
    };
    let span = |t: TimeVal| Duration::new(t.tv_sec() as u64, t.tv_usec() as u32 * 1000);
    span(usage.user_time()) + span(usage.system_time())
}

/// Ends this process at once: no destructor and no exit handler of a loaded library runs.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: never returns and touches no memory.
    unsafe { libc::_exit(status) }
}

/// A second descriptor for the same file, numbered `least` or above, closed on exec.
///
/// # Errors
/// When the limit on descriptors is below `least`.
pub fn duplicate_at(fd: impl AsFd, least: i32) -> io::Result<OwnedFd> {
    // SAFETY: duplicates a live descriptor; the result is new or -1.
    let copy = unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_DUPFD_CLOEXEC, least) };
    match copy {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: as above, and nobody else owns it.
        copy => Ok(unsafe { OwnedFd::from_raw_fd(copy) }),
    }
}
