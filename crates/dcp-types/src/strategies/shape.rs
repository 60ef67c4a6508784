//! Shapes.

use proptest::collection::vec;
use proptest::strategy::{Strategy, Union};

use crate::Shape;

/// Shapes of up to 4 dimensions of up to 9 elements, scalars and empty tensors among them.
pub fn shapes() -> impl Strategy<Value = Shape> + Clone {
    shapes_up_to(4, 9)
}

/// Shapes of up to `dims` dimensions of up to `extent` elements; now and then one is 0.
///
/// # Panics
/// If the largest of them would not be a [`Shape`].
pub fn shapes_up_to(dims: usize, extent: u64) -> impl Strategy<Value = Shape> + Clone {
    let highest = vec![extent.max(1); dims];
    assert!(Shape::new(highest).is_ok(), "{dims} dimensions of {extent} elements overflow");
    let extents = Union::new_weighted(vec![(12, 1..=extent.max(1)), (1, 0..=0)]);
    vec(extents, 0..=dims).prop_filter_map("a shape within bounds", |dims| Shape::new(dims).ok())
}
