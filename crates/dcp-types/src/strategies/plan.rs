//! Plans of whole saves.

use proptest::prelude::{Just, any, prop_oneof};
use proptest::sample::Index;
use proptest::strategy::{BoxedStrategy, Strategy};

use crate::{ChunkList, Chunks, Entry, EntryKind, GlobalPlan, Metadata, Owners, Shape, StatePath, TensorEntry};

/// Plans in which ranks below `world` write tensors, cut in every way there is, and values.
///
/// # Panics
/// As [`meshes`](super::meshes).
pub fn global_plans(world: u32) -> impl Strategy<Value = GlobalPlan> + Clone {
    super::state_paths().prop_flat_map(move |paths| {
        let entries: Vec<_> = paths.into_iter().map(|path| entries(path, world)).collect();
        entries.prop_map(|entries| {
            let (entries, owners): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
            let metadata = Metadata::new(entries).expect("distinct names");
            GlobalPlan::new(metadata, owners).expect("owners of the right kind")
        })
    })
}

fn entries(path: StatePath, world: u32) -> impl Strategy<Value = (Entry, Owners)> + Clone {
    let kind = prop_oneof![Just(EntryKind::Value), Just(EntryKind::Object)];
    let values = (kind, 0..world).prop_map(|(kind, rank)| (kind, Owners::One(rank))).boxed();
    let tensors = (super::dtypes(), super::shapes()).prop_flat_map(move |(dtype, shape)| {
        chunks(&shape, world).prop_map(move |(chunks, owners)| {
            (EntryKind::Tensor(TensorEntry { dtype, shape: shape.clone(), chunks }), owners)
        })
    });
    prop_oneof![1 => values, 3 => tensors].prop_map(move |(kind, owners)| (Entry { path: path.clone(), kind }, owners))
}

fn chunks(shape: &Shape, world: u32) -> BoxedStrategy<(Chunks, Owners)> {
    let whole = (0..world).prop_map(|rank| (Chunks::Whole, Owners::One(rank)));
    let grids = (super::shard_grids(shape, world), any::<Index>()).prop_map(|(grid, replica)| {
        let replica = replica.index(grid.replicas() as usize) as u64;
        (Chunks::Grid(grid), Owners::Replica(replica))
    });
    let lists = super::tilings(shape, world).prop_map(|tiling| {
        let written = tiling.pieces.iter().filter(|(region, _)| !region.is_empty());
        let owners = written.filter_map(|(_, ranks)| ranks.first()).collect();
        let list = ChunkList::new(&tiling.shape, tiling.regions()).expect("a tiling");
        (Chunks::List(list), Owners::Each(owners))
    });
    prop_oneof![1 => whole, 3 => grids, 2 => lists].boxed()
}
