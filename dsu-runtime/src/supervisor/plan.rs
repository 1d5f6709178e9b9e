//! The operator's wishes against what is possible: the plan of an update, and why it is that one.

use super::ports::Advice;
use super::protocol::{FailurePolicy, Mode, UpdateRequest};
use crate::update::{BuildIndex, Manner, OnFailure, Plan};

/// Refuses what is no time; the command line has looked already, other clients may not have.
pub(super) fn check_seconds(seconds: Option<f64>, flag: &str) -> Result<(), String> {
    match seconds {
        Some(s) if !(0.0..=86_400.0).contains(&s) => Err(format!(
            "{flag} {s} is no time: give seconds, at most a day"
        )),
        _ => Ok(()),
    }
}

/// The plan, and the strategy with its reason.
///
/// # Errors
/// Which wish cannot be granted, and what to change.
pub(super) fn plan(
    asked: &UpdateRequest,
    target: BuildIndex,
    advice: &Advice,
    workers: u32,
) -> Result<(Plan, String), String> {
    let (barrier, why) = match (asked.mode, &advice.barrier) {
        (Mode::Rolling, Some(why)) => {
            return Err(format!(
                "rolling is not possible ({why}): use --mode barrier or auto"
            ));
        }
        (Mode::Barrier, None) => (true, "as asked".to_owned()),
        (_, Some(why)) => (true, why.clone()),
        (Mode::Rolling, None) => (false, "as asked".to_owned()),
        (Mode::Auto, None) => (false, "every change goes both ways".to_owned()),
    };
    let manner = match (barrier, asked.canary) {
        (true, Some(1..)) => {
            return Err(format!(
                "no canary can cross alone, all workers cross together ({why}): leave --canary out"
            ));
        }
        (false, Some(canaries)) if canaries > workers => {
            return Err(format!(
                "{canaries} canaries are more than the {workers} workers: give a smaller --canary"
            ));
        }
        (true, _) => Manner::Barrier,
        (false, canary) => Manner::Rolling {
            canaries: canary.unwrap_or(u32::from(workers >= 2)),
        },
    };
    let on_failure = match asked.on_failure {
        FailurePolicy::Rollback => OnFailure::Rollback,
        FailurePolicy::Pause => OnFailure::Pause,
    };
    let name = if barrier { "barrier" } else { "rolling" };
    let plan = Plan {
        target,
        manner,
        on_failure,
        one_way: advice.one_way.clone(),
        filled: advice.filled.clone(),
        moves: advice.moves.clone(),
    };
    let filling = match advice.filled.is_empty() {
        true => String::new(),
        false => format!("; first {} is filled", advice.filled.join(", ")),
    };
    Ok((plan, format!("{name} ({why}{filling})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(mode: Mode, canary: Option<u32>) -> UpdateRequest {
        UpdateRequest {
            mode,
            canary,
            ..UpdateRequest::default()
        }
    }

    fn one_way() -> Advice {
        let why = "the lens of TOTALS.stats goes forward only".to_owned();
        Advice {
            barrier: Some(why),
            one_way: Some("TOTALS.stats".to_owned()),
            ..Advice::default()
        }
    }

    // R5
    #[test]
    fn what_is_filled_first_is_in_the_plan_and_its_reason() {
        let advice = Advice {
            filled: vec!["SHARDS.entries".to_owned()],
            ..Advice::default()
        };
        for mode in [Mode::Auto, Mode::Barrier] {
            let (plan, strategy) =
                plan(&asked(mode, None), BuildIndex(1), &advice, 4).expect("possible");
            assert_eq!(plan.filled, advice.filled);
            assert!(
                strategy.contains("first SHARDS.entries is filled"),
                "{strategy}"
            );
        }
    }

    // R14
    #[test]
    fn a_one_way_lens_takes_the_barrier_and_refuses_rolling_and_canaries() {
        let target = BuildIndex(1);
        let (auto, strategy) =
            plan(&asked(Mode::Auto, None), target, &one_way(), 4).expect("possible");
        assert_eq!(auto.manner, Manner::Barrier);
        assert_eq!(auto.one_way.as_deref(), Some("TOTALS.stats"));
        assert!(strategy.contains("forward only"), "{strategy}");
        let error = plan(&asked(Mode::Rolling, None), target, &one_way(), 4).expect_err("refused");
        assert!(error.contains("--mode barrier"), "{error}");
        let error = plan(&asked(Mode::Auto, Some(1)), target, &one_way(), 4).expect_err("refused");
        assert!(error.contains("--canary"), "{error}");
    }

    #[test]
    fn one_canary_goes_first_where_there_are_two_workers() {
        let manner = |canary, workers| {
            plan(
                &asked(Mode::Auto, canary),
                BuildIndex(1),
                &Advice::default(),
                workers,
            )
            .map(|(plan, _)| plan.manner)
        };
        assert_eq!(manner(None, 1), Ok(Manner::Rolling { canaries: 0 }));
        assert_eq!(manner(None, 2), Ok(Manner::Rolling { canaries: 1 }));
        assert_eq!(manner(Some(0), 2), Ok(Manner::Rolling { canaries: 0 }));
        assert!(manner(Some(3), 2).is_err());
    }

    #[test]
    fn times_are_bounded() {
        assert!(check_seconds(Some(f64::NAN), "--timeout").is_err());
        assert!(check_seconds(Some(-1.0), "--timeout").is_err());
        assert!(check_seconds(Some(1e300), "--timeout").is_err());
        assert!(check_seconds(Some(0.5), "--timeout").is_ok());
    }
}
