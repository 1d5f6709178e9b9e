//! A flag of the worker that is up for the length of one call, also where that unwinds.
//!
//! Owns nothing: the flags stand in the worker's context, and mean what is said there.

use std::cell::Cell;

/// Up from here to its drop, which puts back what was there before.
#[must_use = "dropped at once it is down again"]
pub(super) struct Raised {
    flag: &'static Cell<u32>,
    before: u32,
}

impl Raised {
    pub(super) fn new(flag: &'static Cell<u32>) -> Raised {
        let before = flag.replace(1);
        Raised { flag, before }
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        self.flag.set(self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    #[test]
    fn a_flag_is_down_again_after_a_panic_and_stays_up_for_who_raised_it_before() {
        let flag: &'static Cell<u32> = Box::leak(Box::default());
        let outer = Raised::new(flag);
        let inner = std::panic::AssertUnwindSafe(|| {
            let _inner = Raised::new(flag);
            panic!("as it was told");
        });
        assert!(catch_unwind(inner).is_err());
        assert_eq!(flag.get(), 1);
        drop(outer);
        assert_eq!(flag.get(), 0);
    }
}
