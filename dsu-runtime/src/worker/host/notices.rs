//! What an application is told in `wait` beside its descriptors: that the worker is to end (a drain),
//! that the configuration may have changed, that listeners are closed (R33).
//!
//! Owns who still has to be told, and when a drain is over. A notice belongs to the worker, not to a
//! version: what the old code has not taken, the new code takes (R24). Knows no messages and no clock.

use crate::abi::{HostCalls, NoticeUse, WorkerRecord};
use crate::sys::time::Nanos;
use std::sync::atomic::Ordering;

/// What waits for the application, and how far a drain is.
#[derive(Debug, Default)]
pub(super) struct Notices {
    drain: Option<Drain>,
    /// Bits of `HostCalls` that need no more than to be handed over.
    plain: u32,
}

/// The way of a worker to its end.
#[derive(Debug)]
struct Drain {
    stage: Stage,
    /// It leaves at the first update point after this, whatever is left to do.
    until: Nanos,
}

/// | stage | at an update point | in `wait` |
/// |---|---|---|
/// | told | a version that ignores notices leaves, others go on | hands the notice over: begun |
/// | begun | goes on until its time is up | ends when the time is up |
/// | over | leaves | ends at once |
///
/// In every stage a worker whose time is up leaves. It goes from stage to stage downwards only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Told,
    Begun,
    /// The application has said that it has finished.
    Over,
}

impl Notices {
    /// The worker is to end by `until`; of several times the earliest counts.
    pub(super) fn drain(&mut self, until: Nanos) {
        let drain = self.drain.get_or_insert(Drain {
            stage: Stage::Told,
            until,
        });
        drain.until = drain.until.min(until);
    }

    /// Whether the worker is on its way to its end: then it crosses to no other version.
    pub(super) fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// The configuration may have changed. What has not been taken yet stands for this change too.
    pub(super) fn reconfigure(&mut self) {
        self.plain |= HostCalls::NOTICE_RECONFIGURE;
    }

    /// Listeners of other versions are closed. What has not been taken yet stands for these too.
    pub(super) fn listeners_closed(&mut self) {
        self.plain |= HostCalls::NOTICE_LISTENERS_CLOSED;
    }

    /// Hands over what waits, each notice once, as bits of `HostCalls`.
    pub(super) fn take(&mut self) -> u32 {
        let mut bits = std::mem::take(&mut self.plain);
        if let Some(drain) = &mut self.drain
            && drain.stage == Stage::Told
        {
            drain.stage = Stage::Begun;
            bits |= HostCalls::NOTICE_DRAIN;
        }
        bits
    }

    /// The application has finished. Says nothing where it has not been told to.
    pub(super) fn drained(&mut self) {
        if let Some(drain) = &mut self.drain
            && drain.stage == Stage::Begun
        {
            drain.stage = Stage::Over;
        }
    }

    /// At an update point: why the worker leaves here, if it does. A version that has not waited yet
    /// may still take notices at the first update point of its run; one that comes to another without
    /// having waited is taken for one that ignores them.
    pub(super) fn settle(
        &mut self,
        notices: NoticeUse,
        is_first: bool,
        now: Nanos,
    ) -> Option<String> {
        let takes = match notices {
            NoticeUse::Takes => true,
            NoticeUse::Unknown => is_first,
            NoticeUse::Ignores => false,
        };
        if !takes && std::mem::take(&mut self.plain) & HostCalls::NOTICE_RECONFIGURE != 0 {
            tracing::info!("configuration event: this version takes no notices");
        }
        let drain = self.drain.as_ref()?;
        let why = match drain.stage {
            Stage::Over => "drained",
            _ if now >= drain.until => "its time to drain was up",
            Stage::Told if !takes => "told to end, and its version takes no notices",
            Stage::Told | Stage::Begun => return None,
        };
        Some(why.to_owned())
    }

    /// Brings the worker's record in line: what is due, and when it has to leave.
    pub(super) fn publish(&self, record: &WorkerRecord) {
        let stage = self.drain.as_ref().map(|drain| drain.stage);
        let mut due = 0;
        if self.plain != 0 || stage == Some(Stage::Told) {
            due |= WorkerRecord::DUE_NOTICE;
        }
        if stage.is_some() {
            due |= WorkerRecord::DUE_DRAIN;
        }
        if stage == Some(Stage::Over) {
            // No wait may come between it and the update point.
            due |= WorkerRecord::DUE_MESSAGE;
        }
        let until = self.drain.as_ref().map_or(0, |drain| drain.until.0.max(1));
        record.leave_by_ns.store(until, Ordering::Relaxed);
        let unset = (WorkerRecord::DUE_NOTICE | WorkerRecord::DUE_DRAIN) & !due;
        record.due.fetch_and(!unset, Ordering::AcqRel);
        record.due.fetch_or(due, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAIN: u32 = HostCalls::NOTICE_DRAIN;
    const RECONFIGURE: u32 = HostCalls::NOTICE_RECONFIGURE;
    const UNTIL: Nanos = Nanos(1000);
    const BEFORE: Nanos = Nanos(999);

    fn told() -> Notices {
        let mut notices = Notices::default();
        notices.drain(UNTIL);
        notices
    }

    // R33
    #[test]
    fn a_version_that_takes_notices_says_itself_when_it_has_drained() {
        let mut notices = told();
        notices.drained();
        assert_eq!(notices.settle(NoticeUse::Takes, false, BEFORE), None);
        assert_eq!((notices.take(), notices.take()), (DRAIN, 0));
        assert_eq!(notices.settle(NoticeUse::Takes, false, BEFORE), None);
        notices.drained();
        assert!(notices.settle(NoticeUse::Takes, false, BEFORE).is_some());
    }

    #[test]
    fn a_version_that_ignores_notices_leaves_at_its_next_update_point() {
        for (notices, is_first) in [
            (NoticeUse::Ignores, false),
            (NoticeUse::Ignores, true),
            // It spins through update points and never waits.
            (NoticeUse::Unknown, false),
        ] {
            assert!(told().settle(notices, is_first, BEFORE).is_some());
        }
        // It has just taken over and has not waited yet.
        assert!(told().settle(NoticeUse::Unknown, true, BEFORE).is_none());
    }

    #[test]
    fn time_that_is_up_ends_every_drain_and_the_earliest_time_counts() {
        let mut begun = told();
        begun.take();
        begun.drain(Nanos(2000));
        assert!(begun.settle(NoticeUse::Takes, false, BEFORE).is_none());
        assert!(begun.settle(NoticeUse::Takes, false, UNTIL).is_some());
        assert!(told().settle(NoticeUse::Takes, true, UNTIL).is_some());
        let mut hurried = told();
        hurried.take();
        hurried.drain(Nanos(1));
        assert!(hurried.settle(NoticeUse::Takes, false, Nanos(1)).is_some());
        assert_eq!(hurried.take(), 0, "told once");
    }

    // R33, R24
    #[test]
    fn a_configuration_event_is_taken_once_and_waits_for_new_code() {
        let mut notices = Notices::default();
        notices.reconfigure();
        notices.reconfigure();
        // The old code has crossed before it waited; the new code is at its first update point.
        assert_eq!(notices.settle(NoticeUse::Takes, false, BEFORE), None);
        assert_eq!(notices.settle(NoticeUse::Unknown, true, BEFORE), None);
        assert_eq!((notices.take(), notices.take()), (RECONFIGURE, 0));
        notices.reconfigure();
        notices.settle(NoticeUse::Ignores, false, BEFORE);
        assert_eq!(
            notices.take(),
            0,
            "dropped, so that nothing is due for ever"
        );
    }
}
