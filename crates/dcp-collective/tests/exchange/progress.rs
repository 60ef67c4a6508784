//! Work that gets on is waited for, however long it takes.
//!
//! The working rank does a bit of work for each keepalive it sends. Keepalives come every quarter of the patience, so
//! work that lasts for `ROUNDS` of them takes several times as long as anybody would wait for a rank that is silent.

use dcp_collective::{Collective, Exchange, Progress, StepError};

use crate::support::{Beating, Gate, SHORT, TestError, run, step};

const ROUNDS: usize = 16;

fn work(progress: &Progress, beats: &Gate) {
    for _ in 0..ROUNDS {
        progress.advance(1);
        beats.wait(1);
    }
}

#[test]
fn a_rank_that_works_for_long() {
    let beats = Gate::new();
    let ignored = Gate::new();
    let results = run(3, |rank| {
        let works = rank.rank() == 1;
        let rank = Beating { rank, beats: if works { &beats } else { &ignored } };
        let mut exchange = Exchange::new(&rank, 0, SHORT)?;
        let sum = step(&mut exchange, |progress| {
            if works {
                work(progress, &beats);
            }
            Ok(1)
        })?;
        exchange.finish();
        Ok::<_, StepError<TestError>>(sum)
    });
    assert!(results.into_iter().all(|sum| sum.expect("nobody loses patience") == 3));
}

#[test]
fn a_coordinator_that_works_for_long() {
    let beats = Gate::new();
    let ignored = Gate::new();
    let results = run(2, |rank| {
        let works = rank.rank() == 1;
        let rank = Beating { rank, beats: if works { &beats } else { &ignored } };
        let mut exchange = Exchange::new(&rank, 1, SHORT)?;
        let sum = exchange.all_reduce(
            "sum",
            |progress| {
                if works {
                    work(progress, &beats);
                }
                Ok(1)
            },
            |values: Vec<usize>, progress| {
                work(progress, &beats);
                Ok(values.len())
            },
        )?;
        let told = exchange.broadcast("told", |progress| {
            work(progress, &beats);
            Ok(sum)
        })?;
        exchange.finish();
        Ok::<_, StepError<TestError>>(told)
    });
    assert!(results.into_iter().all(|sum| sum.expect("nobody loses patience") == 2));
}
