//! Tensors cut into regions that are no grid.

use proptest::collection::vec;
use proptest::prelude::{any, prop_oneof};
use proptest::sample::Index;
use proptest::strategy::{Just, Strategy};

use crate::source::BufferPlace;
use crate::{DType, HeldPart, Rank, RankSet, Region, Shape, TensorSpec};

/// A tensor cut into regions, each held by one or more ranks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiling {
    /// The tensor's shape.
    pub shape: Shape,
    /// The regions, which cover each element once, and the ranks that hold each. Only an empty tensor has an empty one.
    pub pieces: Vec<(Region, RankSet)>,
}

impl Tiling {
    /// The regions, without who holds them.
    #[must_use]
    pub fn regions(&self) -> Vec<Region> {
        self.pieces.iter().map(|(region, _)| region.clone()).collect()
    }

    /// The regions that a rank holds.
    #[must_use]
    pub fn held_by(&self, rank: Rank) -> Vec<Region> {
        self.pieces.iter().filter(|(_, ranks)| ranks.contains(rank)).map(|(region, _)| region.clone()).collect()
    }

    /// What a rank says of the tensor if it keeps its regions one after the other in a flat buffer, and how many elements
    /// that buffer has.
    #[must_use]
    pub fn spec(&self, rank: Rank, dtype: DType) -> (TensorSpec, u64) {
        let mut len = 0;
        let parts: Vec<HeldPart> = self
            .held_by(rank)
            .into_iter()
            .map(|region| {
                let place = BufferPlace::Flat(len);
                len += region.numel();
                HeldPart { region, place }
            })
            .collect();
        (TensorSpec::regions(dtype, &self.shape, parts).expect("regions inside the tensor"), len)
    }
}

/// A tensor of this shape cut at random, its regions spread over the ranks below `world`.
///
/// Most are cut through again and again; now and then a part becomes a pinwheel, which no such cuts can make. Some
/// regions are held by several ranks, and some ranks may hold none.
///
/// # Panics
/// If `world` is 0.
pub fn tilings(shape: &Shape, world: u32) -> impl Strategy<Value = Tiling> + Clone + use<> {
    let shape = shape.clone();
    let steps = vec(steps(), 0..=MAX_STEPS);
    let holders = prop_oneof![3 => vec(0..world, 1), 1 => vec(0..world, 1..=3)];
    (steps, vec(holders, MAX_PIECES)).prop_map(move |(steps, holders)| {
        let mut regions = vec![Region::full(&shape)];
        for step in &steps {
            apply(step, &mut regions);
        }
        let held = |(region, ranks): (Region, Vec<Rank>)| (region, ranks.into_iter().collect());
        Tiling { shape: shape.clone(), pieces: regions.into_iter().zip(holders).map(held).collect() }
    })
}

const MAX_STEPS: usize = 8;
/// A pinwheel makes five of one.
const MAX_PIECES: usize = 1 + 4 * MAX_STEPS;

/// Which region is cut, and how. A step that does not fit its region changes nothing.
#[derive(Clone, Debug)]
struct Step {
    region: Index,
    dims: (Index, Index),
    at: (Index, Index),
    pinwheel: bool,
}

fn steps() -> impl Strategy<Value = Step> + Clone {
    let pinwheel = prop_oneof![5 => Just(false), 1 => Just(true)];
    (any::<Index>(), any::<(Index, Index)>(), any::<(Index, Index)>(), pinwheel)
        .prop_map(|(region, dims, at, pinwheel)| Step { region, dims, at, pinwheel })
}

fn apply(step: &Step, regions: &mut Vec<Region>) {
    let region = regions[step.region.index(regions.len())].clone();
    let needed = if step.pinwheel { 3 } else { 2 };
    let mut dims: Vec<usize> = (0..region.ndim()).filter(|&dim| region.sizes()[dim] >= needed).collect();
    if dims.is_empty() || region.is_empty() {
        return;
    }
    let first = dims.remove(step.dims.0.index(dims.len()));
    if !step.pinwheel {
        let at = region.offsets()[first] + 1 + step.at.0.index(region.sizes()[first] as usize - 1) as u64;
        let (low, high) = region.split(first, at);
        replace(regions, step, [low, high]);
    } else if !dims.is_empty() {
        let second = dims[step.dims.1.index(dims.len())];
        replace(regions, step, pinwheel(&region, first, second, step.at));
    }
}

/// Four blades around a core, in the plane of two dimensions of at least three elements.
fn pinwheel(region: &Region, first: usize, second: usize, at: (Index, Index)) -> [Region; 5] {
    // The core starts in the interior and is one element wide.
    let core =
        |dim: usize, index: Index| region.offsets()[dim] + 1 + index.index(region.sizes()[dim] as usize - 2) as u64;
    let (row, column) = (core(first, at.0), core(second, at.1));
    let (top, rest) = region.split(first, row);
    let (middle, bottom) = rest.split(first, row + 1);
    // Each blade takes the corner that the one before it leaves.
    let (left, _) = region.split(second, column);
    let (_, right) = region.split(second, column + 1);
    let without = |blade: &Region, low: bool| {
        let (below, above) = blade.split(first, if low { row } else { row + 1 });
        if low { above } else { below }
    };
    let top = top.split(second, column + 1).0;
    let bottom = bottom.split(second, column).1;
    let centre = middle.split(second, column).1.split(second, column + 1).0;
    [top, without(&right, false), centre, without(&left, true), bottom]
}

fn replace<const N: usize>(regions: &mut Vec<Region>, step: &Step, parts: [Region; N]) {
    let at = step.region.index(regions.len());
    regions.splice(at..=at, parts);
}
