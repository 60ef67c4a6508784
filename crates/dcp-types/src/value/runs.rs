//! The bytes of a strided tensor in row-major order.

use smallvec::SmallVec;

/// The elements of a [`TensorValue`](crate::TensorValue), row-major and little-endian, as the longest pieces in which they lie in its storage.
#[derive(Clone, Debug)]
pub struct TensorRuns<'a> {
    storage: &'a [u8],
    /// The dimensions that are not inside a run.
    outer: SmallVec<[Dim; 4]>,
    /// In bytes.
    length: usize,
    /// Where the next run starts, in bytes.
    next: Option<u64>,
}

#[derive(Clone, Debug)]
struct Dim {
    extent: u64,
    /// In bytes.
    stride: u64,
    index: u64,
}

impl<'a> TensorRuns<'a> {
    /// Every element must have been found to lie inside the storage.
    pub(super) fn new(
        storage: &'a [u8],
        element: u64,
        extents: &[u64],
        strides: impl DoubleEndedIterator<Item = u64> + ExactSizeIterator,
        offset: u64,
    ) -> Self {
        if extents.contains(&0) {
            return Self { storage, outer: SmallVec::new(), length: 0, next: None };
        }
        // The stride of a dimension of extent 1 may be anything, and is never used.
        let dims = extents.iter().copied().zip(strides).filter(|&(extent, _)| extent > 1);
        let mut outer: SmallVec<[Dim; 4]> =
            dims.map(|(extent, stride)| Dim { extent, stride: stride * element, index: 0 }).collect();
        let mut length = element;
        while let Some(dim) = outer.last().filter(|dim| dim.stride == length) {
            length *= dim.extent;
            outer.pop();
        }
        Self { storage, outer, length: length as usize, next: Some(offset * element) }
    }
}

impl<'a> Iterator for TensorRuns<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.next.take()?;
        let mut after = start;
        for dim in self.outer.iter_mut().rev() {
            dim.index += 1;
            if dim.index < dim.extent {
                self.next = Some(after + dim.stride);
                break;
            }
            after -= dim.stride * (dim.extent - 1);
            dim.index = 0;
        }
        self.storage.get(start as usize..)?.get(..self.length)
    }
}
