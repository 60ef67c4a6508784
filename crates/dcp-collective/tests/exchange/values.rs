//! Every step gives every rank what it should, whoever coordinates.

use dcp_collective::{Collective, CollectiveError, Exchange, SingleProcess, Subgroup};

use crate::support::{AMPLE, Sure, run};

type All = (Vec<usize>, usize, Option<Vec<usize>>, Option<Vec<(usize, usize)>>, [usize; 2]);

/// Takes each kind of step once.
fn all_steps(rank: &dyn Collective, coordinator: usize) -> Sure<All> {
    let (me, size) = (rank.rank(), rank.size());
    let mut exchange = Exchange::new(rank, coordinator, AMPLE)?;
    assert_eq!(exchange.is_coordinator(), me == coordinator);
    let all = exchange.all_gather("all", |_| Ok(me))?;
    let next = exchange.reduce_scatter(
        "next",
        |_| Ok(me),
        |mut all: Vec<usize>, _| {
            all.rotate_left(1);
            Ok(all)
        },
    )?;
    let gathered = exchange.gather("squares", |_| Ok(me * me))?;
    // The coordinator asks itself and the last rank; what the others pass does not count.
    let chosen = if me == coordinator { vec![size - 1, coordinator] } else { vec![usize::MAX] };
    let asked = exchange.gather_from("asked", &chosen, |_| {
        assert!(me == coordinator || me == size - 1, "rank {me} was not asked");
        Ok(10 * me)
    })?;
    let told = exchange.broadcast("told", |_| {
        assert_eq!(me, coordinator, "only the coordinator makes it");
        Ok(me + 100)
    })?;
    let dealt = exchange.scatter("dealt", |_| {
        assert_eq!(me, coordinator, "only the coordinator makes them");
        Ok((0..size).map(|position| 3 * position).collect())
    })?;
    exchange.barrier("end")?;
    exchange.finish();
    Ok((all, next, gathered, asked, [told, dealt]))
}

fn check_all(results: Vec<Sure<All>>, coordinator: usize) {
    let size = results.len();
    for (me, result) in results.into_iter().enumerate() {
        let (all, next, gathered, asked, [told, dealt]) = result.expect("all steps succeed");
        assert_eq!(all, (0..size).collect::<Vec<_>>());
        assert_eq!(next, (me + 1) % size);
        assert_eq!((told, dealt), (coordinator + 100, 3 * me));
        let squares = (0..size).map(|position| position * position).collect();
        assert_eq!(gathered, (me == coordinator).then_some(squares));
        let mut from = vec![(coordinator, 10 * coordinator), (size - 1, 10 * (size - 1))];
        from.sort_unstable();
        from.dedup();
        assert_eq!(asked, (me == coordinator).then_some(from));
    }
}

#[test]
fn any_size_and_any_coordinator() {
    for size in 1..=5 {
        for coordinator in 0..size {
            check_all(run(size, |rank| all_steps(&rank, coordinator)), coordinator);
        }
    }
}

#[test]
fn a_single_process() {
    check_all(vec![all_steps(&SingleProcess::new(), 0)], 0);
}

#[test]
fn a_subgroup_while_its_parent_and_another_group_talk() {
    let results = run(6, |rank| {
        let members: Vec<usize> = (0..6).filter(|other| other % 2 == rank.rank() % 2).collect();
        let group = Subgroup::new(&rank, members).expect("members are valid").expect("every rank is in one");
        let twin = Subgroup::new(&rank, group_members(&rank)).expect("members are valid").expect("member");
        std::thread::scope(|scope| {
            let whole = scope.spawn(|| all_steps(&rank, 5));
            let twin = scope.spawn(|| all_steps(&twin, 1));
            let here = all_steps(&group, 2);
            (whole.join().expect("no panic"), twin.join().expect("no panic"), here)
        })
    });
    let (mut whole, mut twins, mut odd_and_even) = (Vec::new(), [Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for (rank, (all, twin, group)) in results.into_iter().enumerate() {
        whole.push(all);
        twins[rank % 2].push(twin);
        odd_and_even[rank % 2].push(group);
    }
    check_all(whole, 5);
    twins.into_iter().for_each(|twin| check_all(twin, 1));
    odd_and_even.into_iter().for_each(|group| check_all(group, 2));
}

/// The same members as the rank's first group.
fn group_members(rank: &dyn Collective) -> Vec<usize> {
    (0..rank.size()).filter(|other| other % 2 == rank.rank() % 2).collect()
}

#[test]
fn groups_that_are_none_are_refused() {
    let alone = SingleProcess::new();
    assert!(matches!(Subgroup::new(&alone, [0, 1]), Err(CollectiveError::NoSuchRank { position: 1, size: 1 })));
    assert!(matches!(Subgroup::new(&alone, [0, 0]), Err(CollectiveError::MemberTwice { position: 0 })));
    assert!(matches!(Subgroup::new(&alone, []), Ok(None)));
    assert!(matches!(Exchange::new(&alone, 1, AMPLE), Err(CollectiveError::NoSuchRank { position: 1, size: 1 })));
}

#[test]
fn large_values() {
    let results = run(3, |rank| -> Sure<usize> {
        let mut exchange = Exchange::new(&rank, 0, AMPLE)?;
        let text = exchange.broadcast("text", |_| Ok("x".repeat(16 << 20)))?;
        let lens = exchange.all_reduce("lens", |_| Ok(text), |all: Vec<String>, _| Ok(all.concat()))?;
        exchange.finish();
        Ok(lens.len())
    });
    for len in results {
        assert_eq!(len.expect("succeeds"), 48 << 20);
    }
}
