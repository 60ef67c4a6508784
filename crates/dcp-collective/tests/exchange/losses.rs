//! Ranks that panic or leave are named on all others, at once: the patience of these tests is far longer than they run.

use dcp_collective::{Collective, CollectiveError, Departure, Exchange, StepError, ThreadGroup};

use crate::support::{AMPLE, Gate, TestError, run, step};

#[track_caller]
fn assert_gone<R: std::fmt::Debug>(result: &Result<R, StepError<TestError>>, lost: u32, how: Departure) {
    match result {
        Err(StepError::Collective(CollectiveError::Gone { rank, why })) => assert_eq!((*rank, *why), (lost, how)),
        other => panic!("expected rank {lost} to be gone, found {other:?}"),
    }
}

#[test]
fn a_rank_that_panics_in_its_work() {
    for coordinator in [0, 1, 3] {
        let results = ThreadGroup::run(4, |rank| {
            let mut exchange = Exchange::new(&rank, coordinator, AMPLE)?;
            step(&mut exchange, |_| if rank.rank() == 1 { panic!("on purpose") } else { Ok(0) })
        });
        for (me, result) in results.iter().enumerate() {
            match result {
                Ok(result) => assert_gone(result, 1, Departure::Panicked),
                Err(_) => assert_eq!(me, 1),
            }
        }
    }
}

#[test]
fn a_coordinator_that_panics_while_it_reduces() {
    let results = ThreadGroup::run(3, |rank| {
        let mut exchange = Exchange::new(&rank, 0, AMPLE)?;
        exchange.all_reduce("reduce", |_| Ok(0), |_: Vec<u8>, _| -> Result<u8, _> { panic!("on purpose") })
    });
    assert!(results[0].is_err());
    for result in results.iter().skip(1) {
        assert_gone(result.as_ref().expect("only the coordinator panics"), 0, Departure::Panicked);
    }
}

#[test]
fn a_rank_that_never_came() {
    for (absent, coordinator) in [(2, 0), (0, 0), (0, 2)] {
        let results = run(3, |rank| {
            if rank.rank() == absent {
                return None;
            }
            let mut exchange = Exchange::new(&rank, coordinator, AMPLE).expect("a valid coordinator");
            Some(step(&mut exchange, |_| Ok(0)))
        });
        for result in results.iter().flatten() {
            assert_gone(result, absent as u32, Departure::Left);
        }
    }
}

#[test]
fn a_rank_that_drops_the_exchange_though_it_stays() {
    for coordinator in [0, 1] {
        let gate = Gate::new();
        let results = run(3, |rank| {
            let mut exchange = Exchange::new(&rank, coordinator, AMPLE).expect("a valid coordinator");
            step(&mut exchange, |_| Ok(0)).expect("all are here");
            if rank.rank() == 1 {
                drop(exchange);
                gate.wait(2); // its handle lives on
                return None;
            }
            let result = step(&mut exchange, |_| Ok(0));
            gate.open();
            Some(result)
        });
        for result in results.iter().flatten() {
            assert_gone(result, 1, Departure::Left);
        }
    }
}

#[test]
fn a_rank_that_leaves_after_it_finished_is_not_missed() {
    let results = run(3, |rank| {
        let mut exchange = Exchange::new(&rank, 1, AMPLE)?;
        let sum = step(&mut exchange, |_| Ok(1))?;
        exchange.finish();
        Ok::<_, StepError<TestError>>(sum)
    });
    assert!(results.into_iter().all(|sum| sum.expect("succeeds") == 3));
}

#[test]
fn a_loss_beside_a_failure_names_both() {
    let results = ThreadGroup::run(3, |rank| {
        let mut exchange = Exchange::new(&rank, 0, AMPLE)?;
        step(&mut exchange, |_| match rank.rank() {
            1 => Err(TestError::of(1)),
            2 => panic!("on purpose"),
            _ => Ok(0),
        })
    });
    let Ok(Err(StepError::Collective(error))) = &results[0] else { panic!("{:?}", results[0]) };
    // The loss ends the step at once, so whether the failure is known by then depends on who was first.
    assert!(error.ranks() == [1, 2] || error.ranks() == [2], "{error}");
}

#[test]
fn work_is_told_that_the_step_is_lost() {
    for (worker, coordinator) in [(0, 0), (1, 0)] {
        let results = ThreadGroup::run(3, |rank| {
            let patience = std::time::Duration::from_secs(4); // work looks for news every quarter of it
            let mut exchange = Exchange::new(&rank, coordinator, patience)?;
            step(&mut exchange, |progress| {
                if rank.rank() == 2 {
                    panic!("on purpose");
                }
                if rank.rank() == worker {
                    while !progress.is_cancelled() {
                        progress.advance(1);
                        std::thread::yield_now();
                    }
                    return Err(TestError::of(worker)); // a consequence, which must not hide the cause
                }
                Ok(0)
            })
        });
        for result in results.iter().take(2) {
            assert_gone(result.as_ref().expect("only rank 2 panics"), 2, Departure::Panicked);
        }
    }
}
