//! Tensor specs.

use proptest::prelude::prop_oneof;
use proptest::strategy::Strategy;

use crate::{Shape, TensorSpec};

/// What each rank below `world` says of one tensor of this shape: that it is replicated, sharded by a mesh (which not every
/// rank need be in), or that the rank has some regions in a flat buffer.
///
/// # Panics
/// As [`meshes`](super::meshes).
pub fn tensor_specs(shape: &Shape, world: u32) -> impl Strategy<Value = Vec<TensorSpec>> + Clone + use<> {
    let everywhere = move |spec: TensorSpec| vec![spec; world as usize];
    let replicated = {
        let shape = shape.clone();
        super::dtypes()
            .prop_map(move |dtype| everywhere(TensorSpec::replicated(dtype, &shape).expect("a shape that is one")))
    };
    let sharded = (super::dtypes(), super::shard_grids(shape, world)).prop_map(move |(dtype, grid)| {
        let placements = grid.placements().iter().copied();
        everywhere(TensorSpec::sharded(dtype, grid.shape(), grid.mesh(), placements).expect("placements that fit"))
    });
    let regions = (super::dtypes(), super::tilings(shape, world))
        .prop_map(move |(dtype, tiling)| (0..world).map(|rank| tiling.spec(rank, dtype).0).collect());
    prop_oneof![1 => replicated, 3 => sharded, 2 => regions]
}
