//! A small state of two ranks, and the two formats that a directory may have.

use std::sync::Arc;

use dcp::{DType, DcpFormat, DeviceMesh, Error, NativeFormat, Placement, SaveReport, Shape, Value};
use dcp_tests::{Case, Group, Layout, Leaf, Part, Place, TensorCase, Whole};
use dcp_types::Tree;

/// The formats that are directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Native,
    Dcp,
}

impl Form {
    pub(super) const ALL: [Self; 2] = [Self::Native, Self::Dcp];

    /// Saves a state, whatever was there.
    pub(super) fn save(self, case: &Case, place: &Place) -> Result<SaveReport, Error> {
        case.save_with(place, |saver| match self {
            Self::Native => saver.format(NativeFormat::new()).overwrite(true),
            Self::Dcp => saver.format(DcpFormat::new()).overwrite(true),
        })
    }
}

/// A state of so many elements that two ranks save, by rows, and one loads. Another `seed` makes every byte another.
pub(super) fn sample(rows: u64, columns: u64, seed: u64) -> Case {
    let (save, load) = (Group::whole(2), Group::whole(1));
    let (dtype, shape) = (DType::Float32, Shape::new([rows, columns]).expect("a shape"));
    let mesh = Arc::new(DeviceMesh::new([2]).expect("a mesh"));
    let part = |rank| Part::sharded(dtype, &shape, &mesh, &[Placement::Shard(0)], rank, Layout::Packed);
    let tensor = TensorCase {
        saved: vec![part(0), part(1)],
        loaded: vec![Part::whole(dtype, &shape, Layout::Packed)],
        whole: Whole::new(dtype, shape.clone(), seed),
    };
    let mut case = Case::of_tensors(save, load, vec![tensor]);
    case.tree.insert("seed", Tree::Leaf(Leaf::Value(Value::from(seed as i64))));
    case
}
