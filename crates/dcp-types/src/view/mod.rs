//! Borrowed tensors.
//!
//! All bytes are in the machine's own order, which is little-endian on every machine that this builds for.

mod cut;
mod read;
mod units;
mod write;

pub use read::View;
pub use write::ViewMut;

use crate::{DType, Region, Shape, TypesError};

#[cfg(target_endian = "big")]
compile_error!("tensor memory is taken for little-endian; big-endian machines are not supported");

fn check_length(dtype: DType, shape: &[u64], found: usize) -> Result<(), TypesError> {
    let expected = Shape::try_from(shape)?.numel() * dtype.size();
    let found = found as u64;
    if expected == found { Ok(()) } else { Err(TypesError::BufferLength { expected, found }) }
}

fn check_region(region: &Region, extents: &[u64]) -> Result<(), TypesError> {
    if region.fits(extents) {
        Ok(())
    } else {
        Err(TypesError::OutOfBounds { region: region.clone(), extents: extents.to_vec() })
    }
}

/// A dimension of a region that has been checked to lie inside memory.
fn index_range(region: &Region, dim: usize) -> std::ops::Range<usize> {
    region.offsets()[dim] as usize..region.end(dim) as usize
}

fn flat_range(start: u64, shape: &[u64], buffer: &[u64]) -> Result<(usize, usize), TypesError> {
    let [found] = *buffer else { return Err(TypesError::NotFlat) };
    let expected = start.saturating_add(Shape::try_from(shape)?.numel());
    if expected > found {
        return Err(TypesError::BufferLength { expected, found });
    }
    Ok((start as usize, expected as usize))
}

fn to_usize(extents: &[u64]) -> Result<Vec<usize>, TypesError> {
    let convert = |&extent: &u64| usize::try_from(extent).map_err(|_| TypesError::TooLarge(extents.to_vec()));
    extents.iter().map(convert).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, ArrayD, IxDyn};

    fn counting(shape: &[usize]) -> ArrayD<u32> {
        let len: usize = shape.iter().product();
        ArrayD::from_shape_vec(IxDyn(shape), (0..len as u32).collect()).expect("shape")
    }

    #[test]
    fn any_span_of_a_transposed_tensor_reads_as_row_major() {
        let array = counting(&[3, 4, 5]).permuted_axes(IxDyn(&[2, 0, 1]));
        let expected: Vec<u8> = array.iter().flat_map(|element| element.to_ne_bytes()).collect();
        let view = View::from_array(array.view());
        assert!(view.as_bytes().is_none());
        for start in 0..expected.len() {
            for end in start..expected.len() {
                let mut out = vec![0; end - start];
                view.read_at(start as u64, &mut out).expect("inside");
                assert_eq!(out, &expected[start..end]);
            }
        }
        let found = expected.len() as u64;
        let beyond = view.read_at(found - 1, &mut [0; 2]);
        assert_eq!(beyond, Err(TypesError::BufferLength { expected: found + 1, found }));
    }

    #[test]
    fn any_span_of_a_transposed_tensor_is_written_as_row_major() {
        let expected = counting(&[3, 4, 5]).permuted_axes(IxDyn(&[2, 0, 1]));
        let bytes: Vec<u8> = expected.iter().flat_map(|element| element.to_ne_bytes()).collect();
        for step in [1, 3, 7, 16, 50, 240] {
            let mut array = ArrayD::<u32>::zeros(IxDyn(&[3, 4, 5]));
            let mut view = ViewMut::from_array(array.view_mut().permuted_axes(IxDyn(&[2, 0, 1])));
            for (number, span) in bytes.chunks(step).enumerate() {
                view.write_at((number * step) as u64, span).expect("inside");
            }
            assert!(view.write_at(239, &[0; 2]).is_err());
            assert_eq!(array.permuted_axes(IxDyn(&[2, 0, 1])), expected);
        }
    }

    #[test]
    fn spans_are_the_memory_in_row_major_order() {
        let mut array = counting(&[4, 3, 5]);
        let expected: Vec<u8> = array.slice(ndarray::s![1..3, .., 1..4]).iter().flat_map(|e| e.to_ne_bytes()).collect();
        let part = array.slice_mut(ndarray::s![1..3, .., 1..4]).into_dyn();
        let spans = ViewMut::from_array(part).into_spans(12).expect("rows of 12 bytes");
        assert_eq!((spans.len(), spans.concat()), (6, expected));
        let part = array.slice_mut(ndarray::s![1..3, .., ..]).into_dyn();
        assert_eq!(ViewMut::from_array(part).into_spans(1).map(|spans| spans.len()).ok(), Some(1));
        let transposed = array.view_mut().permuted_axes(IxDyn(&[2, 1, 0]));
        assert!(ViewMut::from_array(transposed).into_spans(5).is_err());
    }

    #[test]
    fn pieces_of_a_tensor_are_written_apart() {
        let mut array = Array3::<u16>::zeros((2, 3, 4)).into_dyn();
        let view = ViewMut::from_array(array.view_mut().permuted_axes(IxDyn(&[2, 1, 0])));
        let (low, mut high) = view.split_at(0, 1).expect("inside");
        assert_eq!((low.shape(), high.shape()), (vec![1, 3, 2], vec![3, 3, 2]));
        high.copy_from_bytes(&[1; 36]).expect("length");
        let mut part = low.into_slice(&Region::new([0, 2, 1], [1, 1, 1]).expect("region")).expect("inside");
        part.copy_from_bytes(&7u16.to_ne_bytes()).expect("length");
        assert_eq!(array[[1, 2, 0]], 7);
        assert_eq!(array[[0, 0, 0]], 0);
        assert_eq!(array[[0, 0, 1]], 0x0101);
    }

    #[test]
    fn flat_parts_are_contiguous_rows_only() {
        let flat = counting(&[12]);
        let part = View::from_array(flat.view()).flat_part(4, &[2, 3]).expect("inside");
        assert_eq!(part.shape(), [2, 3]);
        assert_eq!(part.as_bytes().map(|bytes| bytes[0]), Some(4));
        assert!(matches!(View::from_array(flat.view()).flat_part(8, &[5]), Err(TypesError::BufferLength { .. })));
        let every_second = flat.slice(ndarray::s![..;2]);
        assert_eq!(View::from_array(every_second.into_dyn()).flat_part(0, &[2, 3]).err(), Some(TypesError::NotFlat));
    }

    #[test]
    fn buffers_of_the_wrong_length_are_refused() {
        let expected = TypesError::BufferLength { expected: 8, found: 7 };
        assert_eq!(View::from_bytes(DType::Float32, &[2], &[0; 7]).err(), Some(expected));
        let empty = ViewMut::from_strided_bytes(DType::Float32, &[0, 5], &[5, 1], &mut []).map(|view| view.shape());
        assert_eq!(empty, Ok(vec![0, 5]));
        let overlapping = ViewMut::from_strided_bytes(DType::UInt8, &[2, 2], &[1, 1], &mut [0; 4]).err();
        assert_eq!(overlapping, Some(TypesError::NotFlat));
    }
}
