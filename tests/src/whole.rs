//! Tensors whose every byte is known by formula.

use dcp_types::{DType, Region, Shape};

/// A whole tensor, row-major: what is compared with in the end.
#[derive(Clone)]
pub struct Whole {
    /// Its dtype.
    pub dtype: DType,
    /// Its shape.
    pub shape: Shape,
    /// Its elements.
    pub bytes: Vec<u8>,
}

impl Whole {
    /// The tensor that a seed stands for. Tensors of different seeds share no long stretch of bytes.
    #[must_use]
    pub fn new(dtype: DType, shape: Shape, seed: u64) -> Self {
        let len = shape.numel() * dtype.size();
        // A Rust `bool` that is neither 0 nor 1 would be undefined.
        let mask = if dtype == DType::Bool { 1 } else { 0xff };
        let bytes = (0..len).map(|at| (mix(seed, at) & mask) as u8).collect();
        Self { dtype, shape, bytes }
    }

    /// The bytes of a region, row-major.
    #[must_use]
    pub fn slice(&self, region: &Region) -> Vec<u8> {
        let size = self.dtype.size() as usize;
        let strides = row_major(self.shape.dims());
        let mut out = Vec::with_capacity(region.numel() as usize * size);
        for_each_row(region.sizes(), |index, len| {
            let at = |dim: usize| (region.offsets()[dim] + index[dim]) * strides[dim];
            let start = (0..index.len()).map(at).sum::<u64>() as usize * size;
            out.extend_from_slice(&self.bytes[start..start + len as usize * size]);
        });
        out
    }
}

impl std::fmt::Debug for Whole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Whole({} {:?})", self.dtype, self.shape)
    }
}

/// The strides, in elements, of a row-major array.
pub(crate) fn row_major(extents: &[u64]) -> Vec<u64> {
    let mut strides = vec![1; extents.len()];
    for dim in (1..extents.len()).rev() {
        strides[dim - 1] = strides[dim] * extents[dim];
    }
    strides
}

/// Calls for the first index of each row along the last dimension, with the length of the row. A scalar is one row.
pub(crate) fn for_each_row(sizes: &[u64], mut row: impl FnMut(&[u64], u64)) {
    if sizes.contains(&0) {
        return;
    }
    let mut index = vec![0; sizes.len()];
    loop {
        row(&index, sizes.last().copied().unwrap_or(1));
        let Some(outer) = sizes.len().checked_sub(1) else { return };
        let Some(dim) = (0..outer).rev().find(|&dim| index[dim] + 1 < sizes[dim]) else { return };
        index[dim] += 1;
        index[dim + 1..].fill(0);
    }
}

fn mix(seed: u64, at: u64) -> u64 {
    let mut bits = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ at).wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits ^= bits >> 33;
    bits.wrapping_mul(0xc4ce_b9fe_1a85_ec53) >> 40
}
