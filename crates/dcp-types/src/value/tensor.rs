//! Small tensors inside values.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};

use super::runs::TensorRuns;
use crate::shape::Dims;
use crate::{DType, Shape, TypesError};

/// A small tensor that is a part of a value: a step count of an optimizer, the state of a random generator.
///
/// It looks into a storage that several tensors may share, through strides, as PyTorch's tensors do. Every element lies inside the storage;
/// that is checked where the tensor is made. Encoded it is only what it shows: row-major, without its strides and the rest of the storage. Two are equal
/// if they show the same.
///
/// ```
/// use dcp_types::{DType, Shape, TensorValue};
/// let storage = vec![0u8, 1, 2, 3, 4, 5].into();
/// let column = TensorValue::strided(DType::UInt8, Shape::new([2])?, [3], 1, storage)?;
/// assert_eq!(&column.to_bytes()[..], [1, 4]);
/// # Ok::<(), dcp_types::TypesError>(())
/// ```
#[derive(Clone)]
pub struct TensorValue(Arc<Parts>);

/// Apart, as values are many, and tensors among them few.
#[derive(Clone)]
struct Parts {
    dtype: DType,
    shape: Shape,
    strides: Dims,
    storage_offset: u64,
    requires_grad: bool,
    storage: Bytes,
}

impl TensorValue {
    /// The most bytes that a tensor may show if it shows more than its storage has, as one does that was expanded (with strides of 0).
    pub const MAX_EXPANDED: u64 = 64 << 20;

    /// A tensor of row-major, little-endian bytes.
    ///
    /// # Errors
    /// [`TypesError::BufferLength`] if these are not as many bytes as the shape needs.
    pub fn new(dtype: DType, shape: Shape, bytes: impl Into<Bytes>) -> Result<Self, TypesError> {
        let (bytes, expected) = (bytes.into(), shape.numel() * dtype.size());
        let found = bytes.len() as u64;
        if expected != found {
            return Err(TypesError::BufferLength { expected, found });
        }
        let strides = row_major(&shape);
        Ok(Self(Arc::new(Parts { dtype, shape, strides, storage_offset: 0, requires_grad: false, storage: bytes })))
    }

    /// A tensor that looks into a storage; strides and offset are in elements. Cloned [`Bytes`] are one storage, of which there is one copy.
    ///
    /// # Errors
    /// [`TypesError::DimsMismatch`] if there is not one stride for each dimension; [`TypesError::BufferLength`] if an element is outside the storage;
    /// [`TypesError::TensorTooLarge`] if the tensor shows more bytes than both its storage has and [`MAX_EXPANDED`](Self::MAX_EXPANDED).
    pub fn strided(
        dtype: DType,
        shape: Shape,
        strides: impl IntoIterator<Item = u64>,
        storage_offset: u64,
        storage: Bytes,
    ) -> Result<Self, TypesError> {
        let strides: Dims = strides.into_iter().take(Shape::MAX_DIMS + 1).collect();
        let (expected, found) = (shape.dims().len(), strides.len());
        if expected != found {
            return Err(TypesError::DimsMismatch { what: "the strides of a tensor", expected, found });
        }
        let (expected, found) = (end(dtype, &shape, &strides, storage_offset), storage.len() as u64);
        if expected > found {
            return Err(TypesError::BufferLength { expected, found });
        }
        let (bytes, limit) = (shape.numel() * dtype.size(), found.max(Self::MAX_EXPANDED));
        if bytes > limit {
            return Err(TypesError::TensorTooLarge { bytes, limit });
        }
        Ok(Self(Arc::new(Parts { dtype, shape, strides, storage_offset, requires_grad: false, storage })))
    }

    /// Says whether gradients are computed for it.
    #[must_use]
    pub fn with_requires_grad(mut self, requires_grad: bool) -> Self {
        Arc::make_mut(&mut self.0).requires_grad = requires_grad;
        self
    }

    /// The dtype.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.0.dtype
    }

    /// The extents.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.0.shape
    }

    /// How many elements of the storage apart neighbours are, for each dimension.
    #[must_use]
    pub fn strides(&self) -> &[u64] {
        &self.0.strides
    }

    /// Where in the storage the first element is, in elements.
    #[must_use]
    pub fn storage_offset(&self) -> u64 {
        self.0.storage_offset
    }

    /// Whether gradients are computed for it.
    #[must_use]
    pub fn requires_grad(&self) -> bool {
        self.0.requires_grad
    }

    /// What it looks into.
    #[must_use]
    pub fn storage(&self) -> &Bytes {
        &self.0.storage
    }

    /// The number of elements.
    #[must_use]
    pub fn numel(&self) -> u64 {
        self.0.shape.numel()
    }

    /// The size in bytes of what it shows.
    #[must_use]
    pub fn nbytes(&self) -> u64 {
        self.numel() * self.0.dtype.size()
    }

    /// The elements, row-major and little-endian, as the pieces in which they lie in the storage.
    #[must_use]
    pub fn runs(&self) -> TensorRuns<'_> {
        let strides = self.0.strides.iter().copied();
        TensorRuns::new(&self.0.storage, self.0.dtype.size(), self.0.shape.dims(), strides, self.0.storage_offset)
    }

    /// The elements, row-major and little-endian: a part of the storage where they lie there so.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut runs = self.runs();
        match (runs.next(), runs.next()) {
            (None, _) => Bytes::new(),
            (Some(only), None) => self.0.storage.slice_ref(only),
            (Some(_), Some(_)) => {
                let mut bytes = Vec::with_capacity(self.nbytes() as usize);
                self.runs().for_each(|run| bytes.extend_from_slice(run));
                bytes.into()
            }
        }
    }
}

impl PartialEq for TensorValue {
    fn eq(&self, other: &Self) -> bool {
        let kind = |tensor: &Self| (tensor.0.dtype, tensor.0.requires_grad);
        kind(self) == kind(other) && self.0.shape == other.0.shape && same_bytes(self.runs(), other.runs())
    }
}

impl std::fmt::Debug for TensorValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TensorValue({} {:?})", self.0.dtype, self.0.shape)
    }
}

/// How many bytes the storage must have; `u64::MAX` also stands for whatever is more.
fn end(dtype: DType, shape: &Shape, strides: &[u64], offset: u64) -> u64 {
    if shape.numel() == 0 {
        return 0;
    }
    let last = shape
        .dims()
        .iter()
        .zip(strides)
        .try_fold(offset, |last, (extent, stride)| last.checked_add((extent - 1).checked_mul(*stride)?));
    last.and_then(|last| last.checked_add(1)?.checked_mul(dtype.size())).unwrap_or(u64::MAX)
}

/// Of an extent of 0 as PyTorch has them: as if it were 1.
fn row_major(shape: &Shape) -> Dims {
    let mut below = 1;
    let mut strides = Dims::new();
    for extent in shape.dims().iter().rev() {
        strides.push(below);
        below *= extent.max(&1);
    }
    strides.reverse();
    strides
}

/// Whether two sequences of pieces are the same bytes, however each is cut.
fn same_bytes<'a>(mut a: impl Iterator<Item = &'a [u8]>, mut b: impl Iterator<Item = &'a [u8]>) -> bool {
    let (mut left, mut right) = (&[][..], &[][..]);
    loop {
        if left.is_empty() {
            left = a.next().unwrap_or_default();
        }
        if right.is_empty() {
            right = b.next().unwrap_or_default();
        }
        let both = left.len().min(right.len());
        if both == 0 {
            return left.len() == right.len();
        }
        if left[..both] != right[..both] {
            return false;
        }
        (left, right) = (&left[both..], &right[both..]);
    }
}

impl Serialize for TensorValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Parts { dtype, requires_grad, .. } = *self.0;
        Wire { dtype, shape: self.0.shape.clone(), requires_grad, bytes: self.to_bytes() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TensorValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire { dtype, shape, requires_grad, bytes } = Wire::deserialize(deserializer)?;
        let tensor = Self::new(dtype, shape, bytes).map_err(serde::de::Error::custom)?;
        Ok(tensor.with_requires_grad(requires_grad))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    dtype: DType,
    shape: Shape,
    requires_grad: bool,
    bytes: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    fn bytes(count: u8) -> Bytes {
        (0..count).collect::<Vec<u8>>().into()
    }

    fn shape<const N: usize>(dims: [u64; N]) -> Shape {
        Shape::new(dims).expect("shape")
    }

    fn view<const N: usize>(dtype: DType, dims: [u64; N], strides: [u64; N], offset: u64) -> TensorValue {
        TensorValue::strided(dtype, shape(dims), strides, offset, bytes(24)).expect("inside")
    }

    #[test]
    fn any_strides_read_as_row_major() {
        let shown = |tensor: TensorValue| tensor.to_bytes().to_vec();
        assert_eq!(shown(view(DType::UInt8, [3, 2], [1, 3], 1)), [1, 4, 2, 5, 3, 6]);
        assert_eq!(shown(view(DType::Int16, [2, 2], [1, 2], 0)), [0, 1, 4, 5, 2, 3, 6, 7]);
        assert_eq!(shown(view(DType::UInt8, [2, 1, 3], [0, 9, 1], 5)), [5, 6, 7, 5, 6, 7]);
        assert_eq!(shown(view(DType::UInt8, [1, 3], [u64::MAX, 1], 21)), [21, 22, 23]);
        assert_eq!(shown(view(DType::Float64, [], [], 2)), (16..24).collect::<Vec<_>>());
        assert_eq!(shown(view(DType::Float64, [3, 0], [u64::MAX, 1], u64::MAX)), []);
        let rows = view(DType::UInt8, [2, 3], [3, 1], 6);
        assert_eq!(rows.runs().count(), 1);
        assert_eq!(rows.to_bytes().as_ptr(), rows.storage()[6..].as_ptr(), "not copied");
    }

    #[test]
    fn no_element_is_outside_the_storage() {
        let made = |dtype, dims: &[u64], strides: &[u64], offset| {
            TensorValue::strided(
                dtype,
                Shape::try_from(dims).expect("shape"),
                strides.iter().copied(),
                offset,
                bytes(24),
            )
            .err()
        };
        let outside = |expected| Some(TypesError::BufferLength { expected, found: 24 });
        assert_eq!(made(DType::Int32, &[2, 3], &[3, 1], 0), None);
        assert_eq!(made(DType::Int32, &[2, 3], &[3, 1], 1), outside(28));
        assert_eq!(made(DType::Int32, &[2], &[u64::MAX], 0), outside(u64::MAX));
        assert_eq!(made(DType::Int32, &[3], &[u64::MAX], 0), outside(u64::MAX));
        assert_eq!(made(DType::UInt8, &[1], &[1], u64::MAX), outside(u64::MAX));
        assert_eq!(made(DType::Int32, &[], &[], u64::MAX / 4), outside(u64::MAX));
        let mismatch = TypesError::DimsMismatch { what: "the strides of a tensor", expected: 1, found: 2 };
        assert_eq!(made(DType::Int32, &[1], &[1, 1], 0), Some(mismatch));
        let (bytes, limit) = (TensorValue::MAX_EXPANDED + 1, TensorValue::MAX_EXPANDED);
        assert_eq!(made(DType::UInt8, &[limit], &[0], 0), None);
        assert_eq!(made(DType::UInt8, &[bytes], &[0], 0), Some(TypesError::TensorTooLarge { bytes, limit }));
    }

    #[test]
    fn what_is_shown_is_compared() {
        let columns = view(DType::UInt8, [3, 2], [1, 3], 0);
        let rows = TensorValue::new(DType::UInt8, shape([3, 2]), vec![0, 3, 1, 4, 2, 5]).expect("length");
        assert_eq!((rows.strides(), rows.storage_offset(), rows.nbytes()), (&[2, 1][..], 0, 6));
        assert_eq!(columns, rows);
        assert_ne!(columns, rows.clone().with_requires_grad(true));
        assert_ne!(columns, view(DType::UInt8, [3, 2], [1, 3], 1));
        assert_ne!(view(DType::UInt8, [6], [1], 0), view(DType::Int8, [6], [1], 0));
        assert_ne!(view(DType::UInt8, [6], [1], 0), view(DType::UInt8, [3, 2], [2, 1], 0));
        assert_eq!(view(DType::UInt8, [0], [1], 0), view(DType::UInt8, [0], [1], 7));
    }

    #[test]
    fn what_is_shown_is_encoded() {
        let column = Value::Tensor(view(DType::UInt8, [2], [3], 1).with_requires_grad(true));
        let encoded = column.encode().expect("encodes");
        assert_eq!(&encoded[..], b"\x81\xa6Tensor\x94\xa5uint8\x91\x02\xc3\xc4\x02\x01\x04");
        let decoded = Value::decode(&encoded).expect("decodes");
        assert_eq!(decoded, column);
        let Value::Tensor(decoded) = decoded else { panic!("a tensor") };
        assert_eq!((decoded.strides(), decoded.storage().len()), (&[1][..], 2));
        for wrong in [
            &b"\x81\xa6Tensor\x94\xa5uint8\x91\x03\xc3\xc4\x02\x01\x04"[..],
            b"\x81\xa6Tensor\x94\xa5uint8\x91\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xc3\xc4\x00",
        ] {
            assert!(matches!(Value::decode(wrong), Err(TypesError::Decode { .. })));
        }
    }

    #[test]
    fn many_expanded_tensors_are_too_many() {
        let limit = TensorValue::MAX_EXPANDED;
        let large = TensorValue::strided(DType::UInt8, shape([limit]), [0], 0, bytes(1)).expect("at the limit");
        let many = Value::List(vec![Value::Tensor(large); (Value::MAX_TENSOR_BYTES / limit) as usize + 1]);
        let bytes = Value::MAX_TENSOR_BYTES + limit;
        assert_eq!(many.encode(), Err(TypesError::TensorTooLarge { bytes, limit: Value::MAX_TENSOR_BYTES }));
    }
}
