//! This crate's own collectives keep the contract.

use dcp_collective::{Collective, Subgroup, ThreadGroup};

type Body<'b> = &'b (dyn Fn(&dyn Collective) + Sync);

mod thread_group {
    use super::*;

    fn run(size: usize, body: Body<'_>) {
        for rank in ThreadGroup::run(size, |rank| body(&rank)) {
            rank.expect("no rank panics");
        }
    }

    dcp_collective::conformance!(run);
}

/// Every second rank of a larger group, in reverse order.
mod subgroup {
    use super::*;

    fn run(size: usize, body: Body<'_>) {
        let members: Vec<usize> = (0..size).rev().map(|member| 2 * member + 1).collect();
        let ranks = ThreadGroup::run(2 * size, |rank| {
            if let Some(group) = Subgroup::new(&rank, members.clone()).expect("members are valid") {
                body(&group);
            }
        });
        for rank in ranks {
            rank.expect("no rank panics");
        }
    }

    dcp_collective::conformance!(run);
}

/// A group within a group.
mod nested_subgroup {
    use super::*;

    fn run(size: usize, body: Body<'_>) {
        let ranks = ThreadGroup::run(size + 2, |rank| {
            let outer: Vec<usize> = (1..size + 2).collect();
            let Some(outer) = Subgroup::new(&rank, outer).expect("members are valid") else { return };
            let inner: Vec<usize> = (0..size).collect();
            if let Some(inner) = Subgroup::new(&outer, inner).expect("members are valid") {
                body(&inner);
            }
        });
        for rank in ranks {
            rank.expect("no rank panics");
        }
    }

    dcp_collective::conformance!(run);
}
