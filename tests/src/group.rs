//! Groups of ranks that save or load together.

use std::thread;

use dcp::{Collective, Subgroup, ThreadGroup};
use dcp_types::DeviceMesh;
use proptest::prelude::*;

/// Some of the ranks of a world, and which of them leads.
#[derive(Clone, Debug)]
pub struct Group {
    /// How many ranks there are.
    pub world: u32,
    /// Those that take part, by position; in any order.
    pub members: Vec<u32>,
    /// The position of the coordinator.
    pub coordinator: usize,
}

impl Group {
    /// All ranks of a world, led by the first.
    #[must_use]
    pub fn whole(world: u32) -> Self {
        Self { world, members: (0..world).collect(), coordinator: 0 }
    }

    /// Runs `body` as each member, on threads of their own; returns what each returned, by position.
    ///
    /// # Panics
    /// If a member panics.
    pub fn run<R: Send>(&self, body: impl Fn(&dyn Collective, u32) -> R + Sync) -> Vec<R> {
        let outcomes = self.try_run(body).into_iter();
        outcomes.map(|outcome| outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    }

    /// The same, where members may panic.
    ///
    /// # Panics
    /// If the group names a rank that the world does not have.
    pub fn try_run<R: Send>(&self, body: impl Fn(&dyn Collective, u32) -> R + Sync) -> Vec<thread::Result<R>> {
        let members: Vec<usize> = self.members.iter().map(|&rank| rank as usize).collect();
        let everybody = members.len() == self.world as usize && members.is_sorted();
        let outcomes = ThreadGroup::run(self.world as usize, |rank| {
            if everybody {
                return Some(body(&rank, rank.rank() as u32));
            }
            let subgroup = Subgroup::new(&rank, members.clone()).expect("a list of distinct members");
            subgroup.map(|group| body(&group, rank.rank() as u32))
        });
        let mut by_rank: Vec<_> = outcomes.into_iter().map(thread::Result::transpose).collect();
        members.iter().map(|&rank| by_rank[rank].take().expect("a member")).collect()
    }

    /// The mesh of members that stand at the positions which a mesh of positions has.
    ///
    /// # Panics
    /// If there is no such position.
    #[must_use]
    pub fn mesh(&self, of_positions: &DeviceMesh) -> DeviceMesh {
        let ranks = of_positions.ranks().map(|position| self.members[position as usize]).collect();
        let mesh = DeviceMesh::of_ranks(of_positions.shape().iter().copied(), ranks).expect("distinct ranks");
        let names = of_positions.names();
        if names.is_empty() { mesh } else { mesh.with_names(names.to_vec()).expect("as many names") }
    }
}

/// Groups of at most so many ranks, most of them small; now and then as large as allowed.
pub fn groups(max: u32) -> impl Strategy<Value = Group> + Clone {
    let size = prop_oneof![12 => 1..=max.min(6), 3 => 1..=max.min(16), 1 => Just(max)];
    (size, any::<prop::sample::Index>(), prop_oneof![3 => Just(0), 1 => 1..4u32]).prop_flat_map(
        |(size, coordinator, outsiders)| {
            let world = size + outsiders;
            let members = Just((0..world).collect::<Vec<_>>());
            let members = if outsiders == 0 { members.boxed() } else { members.prop_shuffle().boxed() };
            members.prop_map(move |mut members| {
                members.truncate(size as usize);
                Group { world, members, coordinator: coordinator.index(size as usize) }
            })
        },
    )
}
