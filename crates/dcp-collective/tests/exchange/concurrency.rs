//! Several exchanges on one group at once.

use std::thread;

use dcp_collective::{Collective, Exchange, StepError};

use crate::support::{AMPLE, Sure, TestError, assert_failed, run, step};

#[test]
fn two_exchanges_from_two_threads() {
    let results = run(4, |rank| {
        let me = rank.rank();
        // Made in the same order everywhere, used in any.
        let first = Exchange::new(&rank, 0, AMPLE).expect("a valid coordinator");
        let second = Exchange::new(&rank, 3, AMPLE).expect("a valid coordinator");
        let steps = |mut exchange: Exchange<'_>, factor: usize| -> Sure<usize> {
            let mut total = 0;
            for _ in 0..50 {
                let all = exchange.all_gather("numbers", |_| Ok(me * factor))?;
                total += all.iter().sum::<usize>();
            }
            exchange.finish();
            Ok(total)
        };
        thread::scope(|scope| {
            let other = scope.spawn(|| steps(second, 100));
            (steps(first, 1), other.join().expect("no panic"))
        })
    });
    for (first, second) in results {
        assert_eq!(first.expect("succeeds"), 300);
        assert_eq!(second.expect("succeeds"), 30_000);
    }
}

#[test]
fn one_that_fails_leaves_the_other_alone() {
    let results = run(3, |rank| {
        let me = rank.rank();
        let mut sound = Exchange::new(&rank, 0, AMPLE).expect("a valid coordinator");
        let mut failing = Exchange::new(&rank, 0, AMPLE).expect("a valid coordinator");
        let before = step(&mut sound, |_| Ok(1));
        let failed = step(&mut failing, |_| if me == 0 { Err(TestError::of(0)) } else { Ok(1) });
        let after = step(&mut sound, |_| Ok(2));
        sound.finish();
        (before, failed, after)
    });
    for (me, (before, failed, after)) in results.into_iter().enumerate() {
        assert_eq!(before.expect("succeeds"), 3);
        assert_eq!(after.expect("succeeds"), 6);
        if me == 0 {
            assert!(matches!(failed, Err(StepError::Own(_))));
        } else {
            assert_failed(&failed, &[0]);
        }
    }
}
