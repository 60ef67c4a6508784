//! A source that cannot be lent gives the same bytes as one that can.

use std::sync::Arc;

use dcp_types::{BufferPlace, DType, DataError, DataSource, Region, Source, View, strategies};
use proptest::prelude::*;
use proptest::sample::Index;

/// A tensor that is read, not lent.
struct Far {
    dtype: DType,
    extents: Vec<u64>,
    bytes: Vec<u8>,
}

impl DataSource for Far {
    fn dtype(&self) -> DType {
        self.dtype
    }

    fn shape(&self) -> Vec<u64> {
        self.extents.clone()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), DataError> {
        let start = offset as usize;
        out.copy_from_slice(self.bytes.get(start..start + out.len()).ok_or("out of bounds")?);
        Ok(())
    }
}

fn read(source: &Source<'_>, offset: u64, len: usize) -> Option<Vec<u8>> {
    let mut out = vec![0; len];
    match source {
        Source::View(view) => view.read_at(offset, &mut out).ok(),
        Source::Lazy(source) => source.read_at(offset, &mut out).ok(),
        _ => None,
    }
    .map(|()| out)
}

/// Reads a part in all ways that there are, and compares.
fn parts_agree(far: Far, place: &BufferPlace, sizes: &[u64], (from, to): (Index, Index)) -> Result<(), TestCaseError> {
    let numel: u64 = sizes.iter().product();
    let len = numel as usize * far.dtype.size() as usize;
    let (from, to) = (from.index(len + 1), to.index(len + 1));
    let (from, to) = (from.min(to), from.max(to));
    let far = Arc::new(far);
    let near = Source::View(View::from_bytes(far.dtype, &far.extents, &far.bytes).expect("length"));
    let shared = Source::Shared(Arc::<Far>::clone(&far));
    let boxed = Source::Lazy(Box::new(Far { dtype: far.dtype, extents: far.shape(), bytes: far.bytes.clone() }));
    let near = near.part(place, sizes).expect("inside");
    let expected = read(&near, from as u64, to - from);
    prop_assert_eq!(expected.as_ref().map(Vec::len), Some(to - from));
    for source in [&shared, &boxed] {
        let part = source.part(place, sizes).expect("inside");
        prop_assert_eq!(part.tensor_type(), near.tensor_type());
        prop_assert_eq!(&read(&part, from as u64, to - from), &expected);
        prop_assert_eq!(read(&part, from as u64, len - from + 1), None);
    }
    Ok(())
}

fn far(dtype: DType, extents: Vec<u64>) -> Far {
    let len = extents.iter().product::<u64>() * dtype.size();
    Far { dtype, extents, bytes: (0..len).map(|byte| (byte * 7 + byte / 256) as u8).collect() }
}

proptest! {
    #[test]
    fn boxes_of_a_far_tensor_are_read_alike(
        dtype in strategies::dtypes(),
        (shape, region) in strategies::regions(),
        span in any::<(Index, Index)>(),
    ) {
        let place = BufferPlace::Box(region.offsets().to_vec());
        parts_agree(far(dtype, shape.dims().to_vec()), &place, region.sizes(), span)?;
    }

    #[test]
    fn flat_parts_of_a_far_tensor_are_read_alike(
        dtype in strategies::dtypes(),
        shape in strategies::shapes_up_to(3, 4),
        (before, after) in (0..5u64, 0..5u64),
        span in any::<(Index, Index)>(),
    ) {
        let far = far(dtype, vec![before + shape.numel() + after]);
        parts_agree(far, &BufferPlace::Flat(before), shape.dims(), span)?;
    }

    #[test]
    fn parts_that_are_not_inside_are_refused(dtype in strategies::dtypes(), (shape, region) in strategies::regions()) {
        let far = far(dtype, shape.dims().to_vec());
        let near = Source::View(View::from_bytes(dtype, shape.dims(), &far.bytes).expect("length"));
        let beyond = Region::new(region.offsets().iter().copied(), region.sizes().iter().map(|size| size + 10));
        let beyond = beyond.expect("small");
        let shared = Source::Shared(Arc::new(self::far(dtype, shape.dims().to_vec())));
        for source in [&near, &shared] {
            let inside = source.part(&BufferPlace::Box(beyond.offsets().to_vec()), beyond.sizes()).is_ok();
            prop_assert_eq!(inside, region.ndim() == 0);
            let flat = source.part(&BufferPlace::Flat(0), &[shape.numel() + 1]);
            prop_assert!(flat.is_err(), "{:?}", flat);
        }
    }
}
