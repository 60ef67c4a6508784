//! What ranks send is checked: nonsense is an error that names its sender, never a panic.

use dcp_collective::{Collective, CollectiveError, Exchange, StepError, ThreadRank};

use crate::support::{AMPLE, TestError, run, step};

/// Rank 1 sends raw messages to the others and leaves; the others take a step.
fn against(messages: &[Vec<u8>], coordinator: usize) -> Vec<Result<usize, StepError<TestError>>> {
    let results = run(3, |rank: ThreadRank| {
        if rank.rank() == 1 {
            let tag = rank.next_tag();
            for message in messages {
                for to in [0, 2] {
                    let _ = rank.send(to, tag, message.clone());
                }
            }
            return None;
        }
        let mut exchange = Exchange::new(&rank, coordinator, AMPLE).expect("a valid coordinator");
        Some(step(&mut exchange, |_| Ok(0)))
    });
    results.into_iter().flatten().collect()
}

#[test]
fn nonsense_is_malformed_on_all() {
    let no_verdict = [vec![2; 9], vec![0xc1; 3]].concat();
    for nonsense in [vec![], vec![1], vec![7; 40], no_verdict] {
        for coordinator in [0, 1] {
            for result in against(std::slice::from_ref(&nonsense), coordinator) {
                let Err(StepError::Collective(CollectiveError::Malformed { rank: 1, .. })) = result else {
                    panic!("{nonsense:?} gave {result:?}");
                };
            }
        }
    }
}

#[test]
fn a_value_of_another_type_is_malformed_on_all() {
    let results = run(3, |rank| {
        let mut exchange = Exchange::new(&rank, 0, AMPLE)?;
        if rank.rank() == 1 {
            return exchange.all_reduce(
                "sum",
                |_| Ok("text".to_owned()),
                |_: Vec<String>, _| Ok::<usize, TestError>(0),
            );
        }
        step(&mut exchange, |_| Ok(0))
    });
    for result in results {
        assert!(matches!(result, Err(StepError::Collective(CollectiveError::Malformed { rank: 1, .. }))), "{result:?}");
    }
}

#[test]
fn a_rank_at_another_step_is_named_on_all() {
    let results = run(3, |rank| {
        let mut exchange = Exchange::new(&rank, 0, AMPLE)?;
        if rank.rank() == 1 {
            return exchange.barrier("end").map(|()| 0).map_err(StepError::from);
        }
        step(&mut exchange, |_| Ok(0))
    });
    for result in results {
        assert!(matches!(result, Err(StepError::Collective(CollectiveError::Diverged { rank: 1, .. }))), "{result:?}");
    }
}

#[test]
fn random_bytes_end_the_step_with_an_error() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..300 {
        let mut message: Vec<u8> = (0..random() % 40).map(|_| random() as u8).collect();
        if let Some(kind) = message.first_mut() {
            *kind %= 4; // mostly kinds that exist, so that payloads are reached
        }
        for result in against(&[message], round % 3) {
            result.expect_err("rank 1 took no part");
        }
    }
}
