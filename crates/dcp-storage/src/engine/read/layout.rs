//! Where the elements of a chunk lie in its payload.

use dcp_types::{Region, TypesError};

use super::runs::FileRuns;
use crate::Layout;

/// A chunk's extents, and the strides of its elements in the payload.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    sizes: Vec<u64>,
    /// In elements.
    strides: Vec<u64>,
    /// The first element, in bytes from the payload's start.
    first: u64,
    /// The size of an element in bytes.
    element: u64,
    /// Bytes from the payload's start to the end of the last element.
    end: u64,
}

/// In which order of its dimensions a chunk lies in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Its own: row-major, perhaps with gaps.
    Rows,
    /// Another one.
    Permuted(Vec<usize>),
    /// None: elements share bytes, or lie between others.
    Tangled,
}

impl Grid {
    /// Checks a layout for a chunk; says what is wrong with it. Of a payload whose length is not known only the layout itself
    /// is checked.
    pub(super) fn new(layout: &Layout, sizes: &[u64], element: u64, length: Option<u64>) -> Result<Self, String> {
        let strides = match &layout.strides {
            None => row_major(sizes),
            Some(strides) if strides.len() == sizes.len() => strides.clone(),
            Some(strides) => return Err(format!("{} strides for a chunk of {sizes:?}", strides.len())),
        };
        let overflow =
            || format!("elements of {sizes:?} at strides {strides:?} from byte {} on overflow", layout.first);
        let last = |span: u64, (&size, &stride): (&u64, &u64)| match size {
            0 | 1 => Some(span),
            _ => span.checked_add(stride.checked_mul(size - 1)?),
        };
        let elements = if sizes.contains(&0) { 0 } else { 1 };
        let span = sizes.iter().zip(&strides).filter(|_| elements > 0).try_fold(elements, last);
        let end = span.and_then(|span| span.checked_mul(element)?.checked_add(layout.first));
        let end = end.filter(|end| i64::try_from(*end).is_ok()).ok_or_else(overflow)?;
        let is_exact = layout.first == 0 && layout.strides.is_none();
        match length {
            Some(length) if is_exact && length != end => {
                return Err(format!("a chunk of {sizes:?} has {end} bytes, but {length} are stored"));
            }
            Some(length) if length < end => {
                return Err(format!("a chunk of {sizes:?} ends {end} bytes into its payload, but {length} are stored"));
            }
            _ => {}
        }
        Ok(Self { sizes: sizes.to_vec(), strides, first: layout.first, element, end })
    }

    /// The size of an element in bytes.
    pub(super) fn element(&self) -> u64 {
        self.element
    }

    /// Where the first element starts, in bytes.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// Where the last element ends, in bytes.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The order of dimensions in which the elements lie one after another, each for itself.
    pub(super) fn order(&self) -> Order {
        let mut wide: Vec<usize> = (0..self.sizes.len()).filter(|&dim| self.sizes[dim] > 1).collect();
        wide.sort_by_key(|&dim| std::cmp::Reverse(self.strides[dim]));
        if wide.is_sorted() {
            let own = (0..self.sizes.len()).collect::<Vec<_>>();
            return if self.permuted(&own).is_ascending() { Order::Rows } else { Order::Tangled };
        }
        let mut order: Vec<usize> = (0..self.sizes.len()).filter(|&dim| self.sizes[dim] <= 1).collect();
        order.append(&mut wide);
        if self.permuted(&order).is_ascending() { Order::Permuted(order) } else { Order::Tangled }
    }

    /// The same with the dimensions in another order.
    pub(super) fn permuted(&self, order: &[usize]) -> Self {
        let pick = |all: &[u64]| order.iter().map(|&dim| all[dim]).collect();
        Self { sizes: pick(&self.sizes), strides: pick(&self.strides), ..*self }
    }

    fn is_ascending(&self) -> bool {
        let nothing = Region::new(vec![0; self.sizes.len()], vec![0; self.sizes.len()]);
        nothing.and_then(|nothing| nothing.strided_runs(&self.sizes, &self.strides)).is_ok()
    }

    /// The runs of a region in the payload, which lies in the order of its dimensions.
    pub(super) fn runs(&self, region: &Region) -> Result<FileRuns, TypesError> {
        let runs = region.strided_runs(&self.sizes, &self.strides)?;
        Ok(FileRuns::Many { runs, element: self.element, base: self.first })
    }

    /// From the first byte of a region, which is not empty, to one past the last.
    pub(super) fn span(&self, region: &Region) -> (u64, u64) {
        let steps = |dim: usize, count: u64| if count == 0 { 0 } else { count * self.strides[dim] };
        let dims = 0..self.sizes.len();
        let first: u64 = dims.clone().map(|dim| steps(dim, region.offsets()[dim])).sum();
        let last: u64 = dims.map(|dim| steps(dim, region.end(dim) - 1)).sum();
        (self.first + first * self.element, self.first + (last + 1) * self.element)
    }

    /// The distance from one index of a dimension to the next, in bytes.
    pub(super) fn stride(&self, dim: usize) -> u64 {
        self.strides[dim].saturating_mul(self.element)
    }

    /// The strides, in elements.
    pub(super) fn strides(&self) -> &[u64] {
        &self.strides
    }
}

fn row_major(sizes: &[u64]) -> Vec<u64> {
    let mut strides = vec![1; sizes.len()];
    for dim in (1..sizes.len()).rev() {
        strides[dim - 1] = strides[dim] * sizes[dim].max(1);
    }
    strides
}
