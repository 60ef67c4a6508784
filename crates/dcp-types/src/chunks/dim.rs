//! One tensor dimension cut by one or more mesh dimensions.
//!
//! Mesh dimensions apply one after the other: in the order that split factors tell, where they tell one ([`cutting_order`]),
//! otherwise from left to right. Each takes the *sequence* of indices that the ones
//! before it left on a rank, cuts it into `split` parts by `torch.chunk`'s rule, cuts each part into
//! `ways` shards, and gives shard `c` of every part, joined, to coordinate `c`. A plain `Shard` is the case
//! `split = 1`. (`torch/distributed/tensor/_utils.py`, `_compute_local_shape_and_global_offset`;
//! `placement_types.py`, `_StridedShard._split_tensor`.) Everything here is closed arithmetic: nothing is ever enumerated.

use std::collections::BTreeMap;

/// How one mesh dimension cuts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) mesh_dim: usize,
    pub(super) ways: u64,
    pub(super) split: u64,
}

/// The order in which mesh dimensions cut a tensor dimension, if their split factors tell it: each split factor is the number of
/// shards that the mesh dimensions before it, but to its right, have made. `None` if a split factor is no such number.
///
/// (`torch/distributed/tensor/_dtensor_spec.py`, `_maybe_convert_StridedShard_to_shard_order`.)
pub(super) fn cutting_order(steps: &[Step]) -> Option<Vec<Step>> {
    let mut order: Vec<Step> = Vec::with_capacity(steps.len());
    for step in steps.iter().rev() {
        let mut shards = 1;
        let mut before = 0;
        while shards != step.split {
            shards = order.get(before)?.ways.saturating_mul(shards);
            before += 1;
        }
        order.insert(before, Step { split: 1, ..*step });
    }
    Some(order)
}

/// A run of indices that one coordinate holds and that lies in one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) start: u64,
    pub(super) end: u64,
    /// The coordinate in the mesh dimension of each step.
    pub(super) coordinate: Vec<u32>,
}

/// A tensor dimension and the steps that cut it.
#[derive(Clone, Debug)]
pub(super) struct DimGrid {
    pub(super) len: u64,
    pub(super) steps: Vec<Step>,
}

impl DimGrid {
    /// The piece that index `x`, which is less than `len`, lies in.
    pub(super) fn piece_at(&self, x: u64) -> Piece {
        let (mut start, mut end) = (0, self.len);
        let (mut position, mut len) = (x, self.len);
        let mut coordinate = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let cut = Cut::new(step, len);
            let (part, in_part) = (position / cut.part, position % cut.part);
            let shard = shard_len(cut.part_len(part), step.ways);
            let (c, in_shard) = (in_part / shard, in_part % shard);
            let held = chunk_len(cut.part_len(part), shard, c);
            start = start.max(x - in_shard);
            end = end.min(x - in_shard + held);
            // Every part before this one is whole.
            position = part * chunk_len(cut.part, shard_len(cut.part, step.ways), c) + in_shard;
            len = cut.sequence_len(step, c);
            coordinate.push(u32::try_from(c).unwrap_or(u32::MAX));
        }
        Piece { start, end, coordinate }
    }

    /// At least as many as there are pieces.
    pub(super) fn most_pieces(&self) -> u64 {
        let cuts = self.steps.iter().map(|step| step.ways.saturating_mul(step.split));
        cuts.fold(1, u64::saturating_mul).min(self.len)
    }

    /// How many pieces there are, but at most one more than `limit`.
    pub(super) fn count_pieces(&self, limit: u64) -> u64 {
        if self.steps.iter().all(|step| step.split == 1) {
            return self.count_nested().min(limit.saturating_add(1));
        }
        let (mut pieces, mut x) = (0, 0);
        while x < self.len && pieces <= limit {
            x = self.piece_at(x).end;
            pieces += 1;
        }
        pieces
    }

    /// How many pieces plain shards make: by their lengths, of which there are few however many shards there are.
    fn count_nested(&self) -> u64 {
        let mut by_length = BTreeMap::from([(self.len, 1)]);
        for step in &self.steps {
            let mut cut: BTreeMap<u64, u64> = BTreeMap::new();
            for (len, count) in by_length.into_iter().filter(|(len, _)| *len > 0) {
                let shard = shard_len(len, step.ways);
                *cut.entry(shard).or_default() += count * (len / shard);
                *cut.entry(len % shard).or_default() += count;
            }
            by_length = cut;
        }
        by_length.into_iter().filter(|(len, _)| *len > 0).map(|(_, count)| count).sum()
    }

    /// The pieces that share an index with `start..end`, in ascending order; `end` is at most `len`.
    pub(super) fn pieces_meeting(&self, start: u64, end: u64) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut x = start;
        while x < end {
            let piece = self.piece_at(x);
            x = piece.end;
            pieces.push(piece);
        }
        pieces
    }

    /// How many indices a coordinate (one entry per step) holds.
    pub(super) fn held(&self, coordinate: impl Iterator<Item = u32>) -> u64 {
        self.steps.iter().zip(coordinate).fold(self.len, |len, (step, c)| match step.split {
            // Asked for each tensor of each rank, mostly of plain shards: one division instead of five.
            1 => chunk_len(len, shard_len(len, step.ways), u64::from(c)),
            _ if len == 0 => 0,
            _ => Cut::new(step, len).sequence_len(step, u64::from(c)),
        })
    }

    /// The one run (start, length) that a coordinate holds, perhaps empty; `None` if a step splits, so that there may be several.
    pub(super) fn run_of(&self, coordinate: impl Iterator<Item = u32>) -> Option<(u64, u64)> {
        self.steps.iter().zip(coordinate).try_fold((0, self.len), |(start, len), (step, c)| {
            let shard = shard_len(len, step.ways);
            let low = shard.saturating_mul(u64::from(c)).min(len);
            (step.split == 1).then(|| (start + low, chunk_len(len, shard, u64::from(c))))
        })
    }

    /// The runs (start, length) that a coordinate holds, in the order in which they stand in its local buffer.
    pub(super) fn runs_of(&self, coordinate: impl Iterator<Item = u32>) -> Vec<(u64, u64)> {
        let mut runs = vec![(0, self.len)];
        for (step, c) in self.steps.iter().zip(coordinate) {
            let len = runs.iter().map(|run| run.1).sum();
            if len == 0 {
                return Vec::new();
            }
            let cut = Cut::new(step, len);
            let mut kept = Vec::new();
            for part in 0..cut.parts() {
                let shard = shard_len(cut.part_len(part), step.ways);
                let low = part * cut.part + (shard * u64::from(c)).min(cut.part_len(part));
                slice_runs(&runs, low, chunk_len(cut.part_len(part), shard, u64::from(c)), &mut kept);
            }
            runs = kept;
        }
        runs.retain(|run| run.1 > 0);
        runs
    }
}

/// A non-empty sequence cut into parts, all of `part` indices but perhaps the last.
struct Cut {
    len: u64,
    part: u64,
}

impl Cut {
    fn new(step: &Step, len: u64) -> Self {
        Self { len, part: len.div_ceil(step.split) }
    }

    fn parts(&self) -> u64 {
        self.len.div_ceil(self.part)
    }

    fn part_len(&self, part: u64) -> u64 {
        chunk_len(self.len, self.part, part)
    }

    /// How many indices coordinate `c` gets of all parts together.
    fn sequence_len(&self, step: &Step, c: u64) -> u64 {
        let of_part = |len: u64| chunk_len(len, shard_len(len, step.ways), c);
        (self.len / self.part) * of_part(self.part) + of_part(self.len % self.part)
    }
}

/// The length of the first of `ways` chunks.
fn shard_len(len: u64, ways: u64) -> u64 {
    len.div_ceil(ways)
}

/// The length of chunk `index` of a row of `len` that is cut every `size`.
fn chunk_len(len: u64, size: u64, index: u64) -> u64 {
    len.saturating_sub(size.saturating_mul(index)).min(size)
}

/// Appends the part `low .. low + len` of the sequence that the runs are.
fn slice_runs(runs: &[(u64, u64)], low: u64, len: u64, into: &mut Vec<(u64, u64)>) {
    let (high, mut position) = (low + len, 0);
    for &(start, length) in runs {
        let (from, to) = (low.max(position), high.min(position + length));
        if from < to {
            into.push((start + from - position, to - from));
        }
        position += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(len: u64, steps: &[(u64, u64)]) -> DimGrid {
        let step = |(mesh_dim, &(ways, split)): (usize, &(u64, u64))| Step { mesh_dim, ways, split };
        DimGrid { len, steps: steps.iter().enumerate().map(step).collect() }
    }

    fn coordinates(grid: &DimGrid) -> Vec<Vec<u32>> {
        grid.steps.iter().fold(vec![vec![]], |all, step| {
            let extend =
                |c: &Vec<u32>| (0..step.ways as u32).map(|i| [c.clone(), vec![i]].concat()).collect::<Vec<_>>();
            all.iter().flat_map(extend).collect()
        })
    }

    #[test]
    fn what_is_held_and_what_is_found_agree() {
        for len in 0..40 {
            for steps in [
                vec![(1, 1)],
                vec![(3, 1)],
                vec![(4, 1), (3, 1)],
                vec![(3, 2)],
                vec![(2, 4), (4, 1)],
                vec![(3, 2), (2, 1)],
                vec![(2, 1), (2, 3), (3, 1)],
                vec![(5, 7), (2, 2)],
            ] {
                let grid = grid(len, &steps);
                assert_eq!(grid.count_pieces(u64::MAX), grid.pieces_meeting(0, len).len() as u64);
                let mut owner = vec![None; len as usize];
                for coordinate in coordinates(&grid) {
                    let runs = grid.runs_of(coordinate.iter().copied());
                    assert_eq!(runs.iter().map(|run| run.1).sum::<u64>(), grid.held(coordinate.iter().copied()));
                    if let Some(run) = grid.run_of(coordinate.iter().copied()) {
                        assert_eq!(runs, Vec::from_iter(Some(run).filter(|run| run.1 > 0)));
                    }
                    for (start, length) in runs {
                        let expected = Piece { start, end: start + length, coordinate: coordinate.clone() };
                        for x in start..start + length {
                            assert_eq!(grid.piece_at(x), expected, "{x} of {grid:?}");
                            assert_eq!(owner[x as usize].replace(coordinate.clone()), None);
                        }
                    }
                }
                assert!(owner.iter().all(Option::is_some), "{grid:?} leaves a hole");
            }
        }
    }

    #[test]
    fn split_factors_tell_the_order_of_cutting() {
        let order = |steps: &[(u64, u64)]| {
            cutting_order(&grid(1, steps).steps).map(|steps| steps.iter().map(|step| step.mesh_dim).collect::<Vec<_>>())
        };
        assert_eq!(order(&[(3, 1), (2, 1)]), Some(vec![0, 1]));
        assert_eq!(order(&[(3, 2), (2, 1)]), Some(vec![1, 0]));
        assert_eq!(order(&[(2, 12), (3, 1), (4, 1)]), Some(vec![1, 2, 0]));
        assert_eq!(order(&[(2, 12), (3, 4), (4, 1)]), Some(vec![2, 1, 0]));
        assert_eq!(order(&[(2, 4), (3, 4), (4, 1)]), Some(vec![2, 0, 1]));
        assert_eq!(order(&[(2, 3), (2, 1)]), None);
    }

    #[test]
    fn fsdp_over_tensor_parallelism_is_contiguous() {
        // mesh (dp=2, tp=2), placements [_StridedShard(0, 2), Shard(0)], 8 rows.
        let grid = grid(8, &[(2, 2), (2, 1)]);
        let runs = |dp, tp| grid.runs_of([dp, tp].into_iter());
        assert_eq!([runs(0, 0), runs(0, 1), runs(1, 0), runs(1, 1)], [[(0, 2)], [(4, 2)], [(2, 2)], [(6, 2)]]);
    }
}
