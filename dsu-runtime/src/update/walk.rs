//! Places in a walk over everything that a guard reaches, so that it can stop and go on.

use std::collections::VecDeque;

/// Where a walk stopped: one place for each container on the way, the outermost first.
#[derive(Default, Debug)]
pub(super) struct Trail {
    resume: VecDeque<u64>,
    left: Vec<u64>,
}

impl Trail {
    /// Whether this walk goes on with one that stopped.
    pub(super) fn is_resumed(&self) -> bool {
        !self.resume.is_empty()
    }

    /// A container begins: where to start in it. The first containers that a resumed walk enters are
    /// those in which it stopped.
    pub(super) fn enter(&mut self) -> u64 {
        self.resume.pop_front().unwrap_or(0)
    }

    /// What the walk stopped in is gone: the containers that come begin at their beginning.
    pub(super) fn begin_anew(&mut self) {
        self.resume.clear();
    }

    /// A container ends; the innermost says so first.
    pub(super) fn leave(&mut self, stopped_at: Option<u64>) {
        if let Some(place) = stopped_at {
            self.left.push(place);
        }
    }

    /// Whether a container stopped early in this slice; those around it stop then as well.
    pub(super) fn has_stopped(&self) -> bool {
        !self.left.is_empty()
    }

    /// The slice is over. True if it stopped in the middle; the next one goes on from there.
    pub(super) fn turn(&mut self) -> bool {
        self.resume = self.left.drain(..).rev().collect();
        !self.resume.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_walk_enters_the_containers_in_which_it_stopped() {
        let mut trail = Trail::default();
        assert_eq!((trail.enter(), trail.enter()), (0, 0));
        trail.leave(Some(7));
        trail.leave(Some(3));
        assert!(trail.turn());
        assert_eq!((trail.enter(), trail.enter(), trail.enter()), (3, 7, 0));
        trail.leave(None);
        trail.leave(None);
        trail.leave(None);
        assert!(!trail.turn());
    }
}
