//! A tensor in an archive, as its pickle describes it (`torch/_utils.py`, `_rebuild_tensor_v2` and `_rebuild_tensor_v3`).

use dcp_storage::{Layout, PostStep};
use dcp_types::DType;

use crate::archive::ByteOrder;

/// A tensor that looks into a storage of the archive. Every element lies inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TensorRef {
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<u64>,
    /// In elements.
    pub(crate) strides: Vec<u64>,
    /// Where the first element is, in elements.
    pub(crate) offset: u64,
    pub(crate) storage: StorageRef,
    pub(crate) requires_grad: bool,
    pub(crate) conjugate: bool,
    pub(crate) negate: bool,
}

/// A storage of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StorageRef {
    pub(crate) key: Box<str>,
    /// The type of its elements; bytes for an untyped one.
    pub(crate) dtype: DType,
    /// In bytes.
    pub(crate) length: u64,
}

impl StorageRef {
    /// Checks that the archive has as many bytes as the pickle says.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn check(&self, found: u64) -> Result<(), String> {
        let Self { key, length, .. } = self;
        if found == *length { Ok(()) } else { Err(wrong_length(key, *length, found)) }
    }
}

/// What is wrong with a storage that has another length than the pickle says.
pub(crate) fn wrong_length(key: &str, expected: u64, found: u64) -> String {
    format!("storage {key} should have {expected} bytes, but has {found}")
}

impl TensorRef {
    /// Checks that every element lies in the storage.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self { dtype, shape, strides, offset, storage, .. } = self;
        if shape.len() != strides.len() {
            return Err(format!("a tensor of {} dimensions has {} strides", shape.len(), strides.len()));
        }
        // The product is bounded even where a zero hides it.
        let numel = shape.iter().try_fold(dtype.size(), |bytes, &extent| bytes.checked_mul(extent.max(1)));
        if numel.is_none() {
            return Err(format!("a tensor of shape {shape:?} is larger than can be counted"));
        }
        if shape.contains(&0) {
            return Ok(());
        }
        let reach = |last: u64, (extent, stride): (&u64, &u64)| last.checked_add((extent - 1).checked_mul(*stride)?);
        let last = shape.iter().zip(strides).try_fold(*offset, reach);
        let end = last.and_then(|last| last.checked_add(1)?.checked_mul(dtype.size()));
        match end {
            Some(end) if end <= storage.length => Ok(()),
            _ => Err(format!(
                "a tensor of shape {shape:?} with strides {strides:?} from element {offset} on leaves its storage of {} bytes",
                storage.length
            )),
        }
    }

    /// How many bytes the elements have.
    pub(crate) fn nbytes(&self) -> u64 {
        self.shape.iter().product::<u64>() * self.dtype.size()
    }

    /// How the elements lie in the storage.
    pub(crate) fn layout(&self, order: ByteOrder) -> Layout {
        let mut steps = Vec::new();
        // Half of a complex number is a unit of its own.
        let is_complex = matches!(self.dtype, DType::Complex32 | DType::Complex64 | DType::Complex128);
        let unit = if is_complex { self.dtype.size() / 2 } else { self.dtype.size() };
        if order == ByteOrder::Big && unit > 1 {
            steps.push(PostStep::SwapBytes(unit));
        }
        if self.conjugate {
            steps.push(PostStep::Conjugate);
        }
        if self.negate {
            steps.push(PostStep::Negate);
        }
        if self.fills_its_storage() {
            return Layout { steps, ..Layout::default() };
        }
        Layout { first: self.offset * self.dtype.size(), strides: Some(self.strides.clone()), steps }
    }

    /// Whether the storage is the tensor's row-major bytes and nothing else.
    fn fills_its_storage(&self) -> bool {
        let mut next = 1;
        for (&extent, &stride) in self.shape.iter().zip(&self.strides).rev() {
            if extent != 1 && stride != next {
                return false;
            }
            next *= extent;
        }
        self.offset == 0 && next * self.dtype.size() == self.storage.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[u64], strides: &[u64], offset: u64, elements: u64) -> TensorRef {
        TensorRef {
            dtype: DType::Float32,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
            offset,
            storage: StorageRef { key: "0".into(), dtype: DType::Float32, length: 4 * elements },
            requires_grad: false,
            conjugate: false,
            negate: false,
        }
    }

    #[test]
    fn elements_must_lie_in_the_storage() {
        for (shape, strides, offset, elements, is_fine) in [
            (&[4, 6][..], &[6, 1][..], 0, 24, true),
            (&[4, 6], &[6, 1], 1, 24, false),
            (&[4, 6], &[1 << 30, 1], 0, 24, false),
            (&[4, 6], &[u64::MAX, 1], 0, 24, false),
            (&[4, 6], &[0, 1], 0, 6, true),
            (&[4, 0], &[1, 1], 0, 0, true),
            (&[1 << 40, 1 << 40, 0], &[1, 1, 1], 0, 0, false),
            (&[], &[], 0, 1, true),
            (&[], &[], 0, 0, false),
            (&[3], &[1, 1], 0, 3, false),
        ] {
            let checked = tensor(shape, strides, offset, elements).check();
            assert_eq!(checked.is_ok(), is_fine, "{shape:?} {strides:?} {offset} {elements}: {checked:?}");
        }
    }

    #[test]
    fn what_is_row_major_and_tight_has_the_plain_layout() {
        let layout = |shape: &[u64], strides: &[u64], offset, elements| {
            tensor(shape, strides, offset, elements).layout(ByteOrder::Little)
        };
        assert_eq!(layout(&[4, 6], &[6, 1], 0, 24), Layout::default());
        assert_eq!(layout(&[1, 3, 1], &[9, 1, 9], 0, 3), Layout::default());
        assert_eq!(layout(&[0, 3], &[3, 1], 0, 0), Layout::default());
        let strided = Layout { first: 8, strides: Some(vec![1, 4]), steps: vec![] };
        assert_eq!(layout(&[4, 6], &[1, 4], 2, 30), strided);
        let swapped = TensorRef { dtype: DType::Complex64, ..tensor(&[3], &[1], 0, 6) }.layout(ByteOrder::Big);
        assert_eq!(swapped, Layout { steps: vec![PostStep::SwapBytes(4)], ..Layout::default() });
    }
}
