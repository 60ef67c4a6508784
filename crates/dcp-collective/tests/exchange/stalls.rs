//! A rank that makes no progress is named on all others.

use dcp_collective::{Collective, CollectiveError, Exchange, StepError, Subgroup};

use crate::support::{Gate, SHORT, TestError, run, step};

#[track_caller]
fn assert_silent<R: std::fmt::Debug>(result: &Result<R, StepError<TestError>>, stalled: u32) {
    match result {
        Err(StepError::Collective(CollectiveError::Silent { rank, waited, .. })) => {
            assert_eq!(*rank, stalled);
            assert!(*waited >= SHORT);
        }
        other => panic!("expected rank {stalled} to be silent, found {other:?}"),
    }
}

#[test]
fn a_rank_that_stalls_in_its_work() {
    for coordinator in [0, 3] {
        let gate = Gate::new();
        let results = run(4, |rank| {
            let mut exchange = Exchange::new(&rank, coordinator, SHORT)?;
            let stalls = rank.rank() == 1;
            let result = step(&mut exchange, |_| {
                if stalls {
                    gate.wait(3);
                }
                Ok(0)
            });
            if !stalls {
                gate.open();
            }
            result
        });
        // The stalled rank as well, once it wakes up.
        results.iter().for_each(|result| assert_silent(result, 1));
    }
}

#[test]
fn a_rank_that_stalls_between_two_steps() {
    let gate = Gate::new();
    let results = run(3, |rank| {
        let mut exchange = Exchange::new(&rank, 0, SHORT)?;
        exchange.barrier("start")?;
        if rank.rank() == 2 {
            gate.wait(2);
            return step(&mut exchange, |_| Ok(0));
        }
        let result = step(&mut exchange, |_| Ok(0));
        gate.open();
        result
    });
    results.iter().for_each(|result| assert_silent(result, 2));
}

#[test]
fn a_coordinator_that_stalls_in_its_work() {
    let gate = Gate::new();
    let results = run(3, |rank| {
        let mut exchange = Exchange::new(&rank, 1, SHORT)?;
        let stalls = rank.rank() == 1;
        let result = step(&mut exchange, |_| {
            if stalls {
                gate.wait(2);
            }
            Ok(0)
        });
        if !stalls {
            gate.open();
        }
        result
    });
    results.iter().for_each(|result| assert_silent(result, 1));
}

#[test]
fn a_coordinator_that_stalls_while_it_reduces() {
    let gate = Gate::new();
    let results = run(3, |rank| {
        let mut exchange = Exchange::new(&rank, 0, SHORT)?;
        let result = exchange.all_reduce(
            "reduce",
            |_| Ok(0),
            |_: Vec<u8>, _| {
                gate.wait(2);
                Ok::<u8, TestError>(0)
            },
        );
        if rank.rank() != 0 {
            gate.open();
        }
        result
    });
    results.iter().skip(1).for_each(|result| assert_silent(result, 0));
}

#[test]
fn a_chosen_rank_that_stalls() {
    let gate = Gate::new();
    let results = run(4, |rank| {
        let mut exchange = Exchange::new(&rank, 0, SHORT)?;
        let result = exchange.gather_from("plans", &[2, 3], |_| {
            if rank.rank() == 3 {
                gate.wait(3);
            }
            Ok::<_, TestError>(0)
        });
        if rank.rank() != 3 {
            gate.open();
        }
        result
    });
    results.iter().for_each(|result| assert_silent(result, 3));
}

#[test]
fn a_subgroup_names_ranks_as_its_parent_does() {
    let gate = Gate::new();
    let results = run(4, |rank| {
        let Some(group) = Subgroup::new(&rank, [3, 1, 2])? else { return Ok(None) };
        let mut exchange = Exchange::new(&group, 0, SHORT)?;
        let stalls = group.rank() == 2; // rank 2 of the parent
        let result = step(&mut exchange, |_| {
            if stalls {
                gate.wait(2);
            }
            Ok(0)
        });
        if !stalls {
            gate.open();
        }
        result.map(Some)
    });
    assert!(matches!(results[0], Ok(None)));
    results.iter().skip(1).for_each(|result| assert_silent(result, 2));
}
