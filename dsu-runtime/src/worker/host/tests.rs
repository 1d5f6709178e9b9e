use super::*;
use crate::abi::{LibraryCalls, Parked, RUNTIME_ABI, RunArguments, RunOutcome, Sink};
use crate::heap::testing::{Actor, ROOMY, fork_worker, kill, reap, test_name, with_regions};
use crate::heap::{allocate, deallocate, has_freed_blocks};
use crate::ids::{SweepId, VersionId, WorkerSlot};
use crate::sys::epoll::Epoll;
use crate::version::Binding;
use crate::worker::{Events, Surroundings, Worker};
use std::alloc::Layout;
use std::ffi::c_void;
use std::os::fd::IntoRawFd;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::channel;
use std::time::Instant;

static BINDS: AtomicBool = AtomicBool::new(true);

unsafe extern "C" fn answers(sink: Sink, state: *mut c_void) -> bool {
    let report = br#"{"walked":3,"findings":[]}"#;
    // SAFETY: the host passed both together.
    unsafe { sink(state, report.as_ptr(), report.len()) };
    true
}

unsafe extern "C" fn binds(_: *const u8, _: usize, _: Sink, _: *mut c_void) -> bool {
    BINDS.load(Ordering::Relaxed)
}

unsafe extern "C" fn converts(
    _: *const u8,
    _: usize,
    _: *const u8,
    _: usize,
    _: Sink,
    _: *mut c_void,
) -> bool {
    false
}

unsafe extern "C" fn runs(_: *const RunArguments) -> RunOutcome {
    RunOutcome::Failed
}

unsafe extern "C" fn fills(_: u32, _: u64, sink: Sink, state: *mut c_void) -> bool {
    // SAFETY: as in `answers`.
    unsafe { sink(state, b"x".as_ptr(), 1) };
    false
}

unsafe extern "C" fn moves(_: bool, _: Sink, _: *mut c_void) -> bool {
    true
}

unsafe extern "C" fn sweeps(_: u32, _: Parked, _: u64, sink: Sink, state: *mut c_void) -> bool {
    // SAFETY: as in `answers`.
    unsafe { sink(state, b"x".as_ptr(), 1) };
    false
}

static LIBRARY: LibraryCalls = LibraryCalls {
    abi: RUNTIME_ABI,
    manifest: answers,
    bind: binds,
    convert_carry: converts,
    run: runs,
    move_items: moves,
    fill: fills,
    sweep: sweeps,
    check: answers,
};

fn build(digest: &str) -> Build {
    Build {
        digest: digest.to_owned(),
        path: "/nonexistent/lib.so".into(),
        version: VersionId(1),
        build_id: format!("code of {digest}"),
        carry_digest: String::new(),
        binding: Binding {
            version: VersionId(1),
            guards: Vec::new(),
            emptied: Vec::new(),
            representations: Vec::new(),
            lenses: Vec::new(),
            order_table: None,
            older: None,
            forgets: Vec::new(),
        },
        arguments: Vec::new(),
        listeners: Vec::new(),
    }
}

/// A worker that runs build "old" and has build "new" loaded, and the supervisor's end of its channel.
fn worker(supervisor: PidFd) -> Channel {
    WorkerContext::current().attach(WorkerSlot(0));
    let (ours, theirs) = Channel::pair().expect("a pair");
    Host::set_up(theirs, supervisor);
    with_host(|host| {
        for digest in ["old", "new"] {
            let loaded = Loaded::of_test(build(digest), &LIBRARY);
            host.builds.insert(digest.to_owned(), loaded);
        }
        host.running = "old".to_owned();
    });
    ours
}

fn open_epoll() {
    let set = Epoll::create().expect("an epoll descriptor");
    WorkerContext::current().epoll.set(set.into_raw_fd());
}

fn alive() -> PidFd {
    PidFd::open(std::process::id()).expect("this process")
}

fn tell(channel: &Channel, message: &ToWorker) {
    let bytes = serde_json::to_vec(message).expect("plain data");
    channel.send(&bytes, &[]).expect("sent");
}

fn heard(channel: &Channel) -> Vec<FromWorker> {
    std::iter::from_fn(|| channel.receive().ok().flatten())
        .map(|packet| serde_json::from_slice(&packet.bytes).expect("a message"))
        .collect()
}

fn update_point() -> Directive {
    with_host(|host| host.at_update_point("loop", NoticeUse::Unknown))
}

fn cross(digest: &str, together: bool) -> ToWorker {
    let digest = digest.to_owned();
    ToWorker::Cross { digest, together }
}

fn pong() -> FromWorker {
    let update_point = "loop".to_owned();
    FromWorker::Pong { update_point }
}

#[test]
fn a_binding_that_fails_leaves_the_running_build_as_it_was() {
    let name = test_name!("a_binding_that_fails_leaves_the_running_build_as_it_was");
    with_regions(name, ROOMY, || {
        let supervisor = worker(alive());
        BINDS.store(false, Ordering::Relaxed);
        tell(&supervisor, &ToWorker::Load(Box::new(build("old"))));
        tell(&supervisor, &ToWorker::Check);
        assert_eq!(update_point(), Directive::Continue);
        let said = heard(&supervisor);
        assert!(
            matches!(
                &said[..],
                [
                    FromWorker::Loaded { error: Some(_), .. },
                    FromWorker::Checked { walked: 3, .. }
                ]
            ),
            "{said:?}"
        );
    });
}

// R5: by the version whose forms are filled, which is not the one that runs.
#[test]
fn a_filling_that_fails_is_told_once_and_ends_in_this_worker() {
    let name = test_name!("a_filling_that_fails_is_told_once_and_ends_in_this_worker");
    with_regions(name, ROOMY, || {
        let supervisor = worker(alive());
        let record = WorkerContext::current().record();
        let is_walking = || record.due.load(Ordering::Relaxed) & WorkerRecord::DUE_SWEEP != 0;
        for (digest, why) in [("new", "x"), ("never loaded", "is not loaded")] {
            let (fill, digest) = (SweepId(3), digest.to_owned());
            tell(&supervisor, &ToWorker::Fill { fill, digest });
            assert_eq!(update_point(), Directive::Continue);
            assert_eq!(update_point(), Directive::Continue);
            match &heard(&supervisor)[..] {
                [
                    FromWorker::Filling {
                        fill: SweepId(3),
                        is_whole: false,
                        failure: Some(failure),
                    },
                ] => assert!(failure.contains(why), "{failure}"),
                said => panic!("{said:?}"),
            }
            assert!(!is_walking());
        }
        tell(&supervisor, &ToWorker::Sweep(SweepId(4), Parked::Kept));
        tell(&supervisor, &ToWorker::Rest);
        assert_eq!(update_point(), Directive::Continue);
        assert_eq!((heard(&supervisor), is_walking()), (Vec::new(), false));
    });
}

// R19
#[test]
fn what_follows_a_barrier_is_taken_in_at_the_same_update_point() {
    let name = test_name!("what_follows_a_barrier_is_taken_in_at_the_same_update_point");
    with_regions(name, ROOMY, || {
        let supervisor = worker(alive());
        let at_barrier = |crosses| FromWorker::AtBarrier {
            crosses,
            update_point: "loop".to_owned(),
        };
        tell(&supervisor, &cross("new", true));
        tell(&supervisor, &ToWorker::Revert);
        tell(&supervisor, &ToWorker::Ping);
        assert_eq!(update_point(), Directive::Continue);
        assert_eq!(heard(&supervisor), [at_barrier(1), pong()]);
        // A barrier that is called anew while the worker stands at one is answered anew.
        tell(&supervisor, &cross("new", true));
        tell(&supervisor, &cross("new", true));
        tell(&supervisor, &ToWorker::Go);
        assert_eq!(update_point(), Directive::Cross);
        assert_eq!(heard(&supervisor), [at_barrier(2), at_barrier(3)]);
    });
}

// R24
#[test]
fn a_worker_that_comes_back_with_its_crossing_undone_says_so() {
    let name = test_name!("a_worker_that_comes_back_with_its_crossing_undone_says_so");
    with_regions(name, ROOMY, || {
        let supervisor = worker(alive());
        tell(&supervisor, &cross("new", false));
        assert_eq!(update_point(), Directive::Cross);
        assert_eq!(update_point(), Directive::Continue);
        let said = heard(&supervisor);
        assert!(
            matches!(&said[..], [FromWorker::CrossingFailed { digest, .. }] if digest == "new"),
            "{said:?}"
        );
    });
}

// R26
#[test]
fn a_worker_with_a_thread_of_the_application_does_not_cross() {
    let name = test_name!("a_worker_with_a_thread_of_the_application_does_not_cross");
    with_regions(name, ROOMY, || {
        let supervisor = worker(alive());
        let ((started, is_started), (end, ended)) = (channel(), channel::<()>());
        let thread = std::thread::Builder::new().name("lingering".to_owned());
        let lingering = thread.spawn(move || {
            started.send(()).expect("awaited");
            let _ = ended.recv();
        });
        is_started.recv().expect("started");
        for together in [false, true] {
            tell(&supervisor, &cross("new", together));
            assert_eq!(update_point(), Directive::Continue);
            let said = heard(&supervisor);
            assert!(
                matches!(&said[..], [FromWorker::CrossingFailed { reason, .. }] if reason.contains("lingering")),
                "{said:?}"
            );
        }
        end.send(()).expect("it runs");
        lingering.expect("a thread").join().expect("no panic");
    });
}

#[test]
fn a_supervisor_that_dies_ends_the_worker_though_its_channel_stays_open() {
    let name = test_name!("a_supervisor_that_dies_ends_the_worker_though_its_channel_stays_open");
    with_regions(name, ROOMY, || {
        let child = fork_worker(1, || {
            loop {
                std::thread::park()
            }
        });
        let _channel = worker(PidFd::open(child as u32).expect("a child"));
        assert_eq!(update_point(), Directive::Continue);
        tell(&_channel, &cross("new", true));
        kill(child);
        // At the barrier it waits for the channel, and is woken by the death.
        assert_eq!(update_point(), Directive::Exit);
        reap(child);
    });
}

fn taking() -> Directive {
    with_host(|host| host.at_update_point("loop", NoticeUse::Takes))
}

fn due() -> u32 {
    WorkerContext::current().record().due.load(Ordering::SeqCst)
}

const FAR: u64 = u64::MAX;

// R33
#[test]
fn a_worker_that_is_told_to_end_crosses_no_more_and_leaves_when_it_has_finished() {
    let name =
        test_name!("a_worker_that_is_told_to_end_crosses_no_more_and_leaves_when_it_has_finished");
    with_regions(name, ROOMY, || {
        let supervisor = worker(alive());
        for together in [false, true] {
            tell(&supervisor, &cross("new", together));
        }
        tell(&supervisor, &ToWorker::Drain { until_ns: FAR });
        tell(&supervisor, &cross("new", false));
        tell(&supervisor, &ToWorker::Go);
        assert_eq!(taking(), Directive::Continue);
        let said = heard(&supervisor);
        assert!(
            matches!(
                &said[..],
                [
                    FromWorker::AtBarrier { .. },
                    FromWorker::CrossingFailed { .. }
                ]
            ),
            "{said:?}"
        );
        assert_ne!(due() & WorkerRecord::DUE_NOTICE, 0);
        assert_eq!((CALLS.take_notices)(), HostCalls::NOTICE_DRAIN);
        // It may sleep while it finishes, but each update point looks at the clock.
        assert_eq!(due(), WorkerRecord::DUE_DRAIN);
        assert_eq!(taking(), Directive::Continue);
        (CALLS.drained)();
        assert_ne!(
            due() & !WorkerRecord::DUE_AWAKE_ONLY,
            0,
            "no wait comes now"
        );
        assert_eq!(taking(), Directive::Exit);
    });
}

// R33, R24
#[test]
fn a_drain_that_comes_behind_a_crossing_takes_it_back() {
    let name = test_name!("a_drain_that_comes_behind_a_crossing_takes_it_back");
    with_regions(name, ROOMY, || {
        let supervisor = worker(alive());
        tell(&supervisor, &cross("new", false));
        tell(&supervisor, &ToWorker::Drain { until_ns: FAR });
        assert_eq!(taking(), Directive::Continue);
        let said = heard(&supervisor);
        assert!(
            matches!(&said[..], [FromWorker::CrossingFailed { digest, .. }] if digest == "new"),
            "{said:?}"
        );
        // Its time is over before it has done anything.
        tell(&supervisor, &ToWorker::Drain { until_ns: 1 });
        assert_eq!(taking(), Directive::Exit);
    });
}

#[test]
fn a_worker_whose_supervisor_dies_has_time_to_finish_and_hears_nobody_any_more() {
    let name =
        test_name!("a_worker_whose_supervisor_dies_has_time_to_finish_and_hears_nobody_any_more");
    with_regions(name, ROOMY, || {
        let child = fork_worker(1, || {
            loop {
                std::thread::park()
            }
        });
        let supervisor = worker(PidFd::open(child as u32).expect("a child"));
        with_host(|host| host.drain = Duration::from_secs(3600));
        let set = crate::sys::epoll::Epoll::create().expect("an epoll descriptor");
        WorkerContext::current()
            .epoll
            .set(std::os::fd::IntoRawFd::into_raw_fd(set));
        kill(child);
        reap(child);
        doorbell();
        assert_eq!(taking(), Directive::Continue);
        assert_eq!((CALLS.take_notices)(), HostCalls::NOTICE_DRAIN);
        // What somebody else says through the channel's other end is not taken in.
        tell(&supervisor, &cross("new", true));
        doorbell();
        assert_eq!(taking(), Directive::Continue);
        (CALLS.drained)();
        assert_eq!(taking(), Directive::Exit);
    });
}

#[test]
fn a_worker_that_is_about_to_sleep_takes_back_what_others_have_freed() {
    let name = test_name!("a_worker_that_is_about_to_sleep_takes_back_what_others_have_freed");
    with_regions(name, ROOMY, || {
        let mut other = Actor::start(1);
        let _supervisor = worker(alive());
        open_epoll();
        let mut cx = Worker::enter(Surroundings::default());
        let mut events = Events::with_capacity(4);
        let layout = Layout::new::<u64>();
        for _ in 0..3 {
            let block = allocate(layout).expect("room");
            // SAFETY: allocated above, and freed once.
            other.act(|| unsafe { deallocate(block, layout) });
            WorkerContext::current().attach(WorkerSlot(0));
            assert!(has_freed_blocks());
            // At once, or when the last time is long enough ago.
            while has_freed_blocks() {
                cx.wait(&mut events, Some(Instant::now())).expect("waited");
                assert!(events.is_empty());
            }
        }
    });
}
