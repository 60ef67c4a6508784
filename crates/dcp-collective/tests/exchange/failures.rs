//! An error on one rank is an error on all.

use dcp_collective::{Collective, CollectiveError, Exchange, StepError};

use crate::support::{AMPLE, TestError, assert_failed, run, step};

#[test]
fn the_failing_ranks_keep_their_errors_and_the_others_learn_all() {
    for coordinator in 0..4 {
        for failing in [vec![1], vec![0], vec![0, 2], vec![1, 3], vec![0, 1, 2, 3]] {
            let results = run(4, |rank| {
                let me = rank.rank();
                let mut exchange = Exchange::new(&rank, coordinator, AMPLE)?;
                step(&mut exchange, |_| if failing.contains(&me) { Err(TestError::of(me)) } else { Ok(me) })
            });
            let labels: Vec<u32> = failing.iter().map(|rank| *rank as u32).collect();
            for (me, result) in results.iter().enumerate() {
                match result {
                    Err(StepError::Own(own)) => assert!(failing.contains(&me) && *own == TestError::of(me)),
                    other => {
                        assert!(!failing.contains(&me));
                        assert_failed(other, &labels);
                    }
                }
            }
        }
    }
}

#[test]
fn kind_message_name_and_retryability_travel() {
    let results = run(2, |rank| {
        let mut exchange = Exchange::new(&rank, 0, AMPLE)?;
        step(&mut exchange, |_| if rank.rank() == 1 { Err(TestError::of(1)) } else { Ok(0) })
    });
    let Err(StepError::Collective(CollectiveError::Failed { step, failures })) = &results[0] else {
        panic!("{results:?}")
    };
    assert_eq!(*step, "sum");
    let [failure] = failures.as_slice() else { panic!("{failures:?}") };
    assert_eq!((failure.rank, failure.kind.as_str()), (1, "no-luck"));
    assert_eq!((failure.message.as_str(), failure.fqn.as_deref()), ("rank 1 has no luck", Some("layer.1")));
    assert!(failure.retryable);
}

#[test]
fn a_reduction_that_fails_is_the_coordinators_failure() {
    let results = run(3, |rank| {
        let mut exchange = Exchange::new(&rank, 2, AMPLE)?;
        exchange.all_reduce("reduce", |_| Ok(1), |_: Vec<u8>, _| Err::<u8, _>(TestError::of(2)))
    });
    assert_failed(&results[0], &[2]);
    assert_failed(&results[1], &[2]);
    assert!(matches!(&results[2], Err(StepError::Own(own)) if *own == TestError::of(2)));
}

#[test]
fn a_broadcast_or_a_scatter_that_fails() {
    let broadcast = run(3, |rank| {
        let mut exchange = Exchange::new(&rank, 1, AMPLE)?;
        exchange.broadcast("make", |_| Err::<u8, _>(TestError::of(1)))
    });
    let scatter = run(3, |rank| {
        let mut exchange = Exchange::new(&rank, 1, AMPLE)?;
        exchange.scatter("make", |_| Err::<Vec<u8>, _>(TestError::of(1)))
    });
    for results in [broadcast, scatter] {
        assert_failed(&results[0], &[1]);
        assert!(matches!(&results[1], Err(StepError::Own(_))));
        assert_failed(&results[2], &[1]);
    }
}

#[test]
fn a_chosen_rank_that_fails() {
    let results =
        run(4, |rank| {
            let mut exchange = Exchange::new(&rank, 0, AMPLE)?;
            exchange.gather_from("plans", &[1, 2], |_| {
                if rank.rank() == 2 { Err(TestError::of(2)) } else { Ok(rank.rank()) }
            })
        });
    for bystander in [0, 1, 3] {
        assert_failed(&results[bystander], &[2]);
    }
    assert!(matches!(&results[2], Err(StepError::Own(_))));
}

#[test]
fn a_chosen_position_that_is_none() {
    let results = run(2, |rank| {
        let mut exchange = Exchange::new(&rank, 0, AMPLE)?;
        exchange.gather_from("plans", &[7], |_| Ok::<_, TestError>(1))
    });
    assert!(matches!(&results[0], Err(StepError::Collective(CollectiveError::NoSuchRank { position: 7, size: 2 }))));
    assert_failed(&results[1], &[0]);
}

#[test]
fn a_scatter_of_the_wrong_length() {
    let results = run(2, |rank| {
        let mut exchange = Exchange::new(&rank, 0, AMPLE)?;
        exchange.reduce_scatter("scatter", |_| Ok(1_u8), |_: Vec<u8>, _| Ok::<_, TestError>(vec![1_u8; 3]))
    });
    let dealt = run(2, |rank| {
        let mut exchange = Exchange::new(&rank, 0, AMPLE)?;
        exchange.scatter("scatter", |_| Ok::<_, TestError>(vec![1_u8; 3]))
    });
    for results in [results, dealt] {
        let wrong = CollectiveError::WrongCount { step: "scatter", expected: 2, found: 3 };
        assert_eq!(results[0].as_ref().expect_err("wrong").to_string(), wrong.to_string());
        assert_failed(&results[1], &[0]);
    }
}

#[test]
fn after_a_failure_nothing_runs() {
    let results = run(3, |rank| {
        let me = rank.rank();
        let mut exchange = Exchange::new(&rank, 0, AMPLE).expect("a valid coordinator");
        step(&mut exchange, |_| if me == 1 { Err(TestError::of(1)) } else { Ok(0) }).expect_err("rank 1 fails");
        let again = step(&mut exchange, |_| panic!("must not run"));
        let barrier = exchange.barrier("end");
        (again, barrier)
    });
    for (again, barrier) in results {
        assert_failed(&again, &[1]);
        assert!(matches!(barrier, Err(CollectiveError::Failed { .. })));
    }
}

#[test]
fn a_failed_exchange_does_not_disturb_the_next() {
    let results = run(3, |rank| {
        let me = rank.rank();
        let mut sums = Vec::new();
        for round in 0..30 {
            let mut exchange = Exchange::new(&rank, round % 3, AMPLE).expect("a valid coordinator");
            let result = step(&mut exchange, |_| if round % 4 == me { Err(TestError::of(me)) } else { Ok(round) });
            if round % 4 < 3 {
                result.expect_err("one rank fails");
            } else {
                sums.push(result.expect("nobody fails"));
                exchange.finish();
            }
        }
        sums
    });
    assert!(results.iter().all(|sums| *sums == [9, 21, 33, 45, 57, 69, 81]));
}
