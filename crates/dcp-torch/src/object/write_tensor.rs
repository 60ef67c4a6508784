//! Tensors in a pickle of `torch.save`.

use dcp_types::DType;

use super::vocabulary::storage_class;
use crate::archive::ArchiveWriter;
use crate::pickle::{Pickler, Protocol, TooLong};

/// What is pickled of a tensor.
pub(super) struct PickledTensor<'t> {
    pub(super) dtype: DType,
    pub(super) shape: &'t [u64],
    /// In elements.
    pub(super) strides: &'t [u64],
    /// In elements.
    pub(super) offset: u64,
    pub(super) requires_grad: bool,
    pub(super) key: &'t str,
    /// The size of the storage in bytes.
    pub(super) storage: u64,
}

impl PickledTensor<'_> {
    /// A row-major tensor that is all of its storage.
    pub(super) fn write_whole(pickler: &mut Pickler, dtype: DType, shape: &[u64], key: &str) -> Result<(), TooLong> {
        let (storage, strides) = (shape.iter().product::<u64>() * dtype.size(), row_major(shape));
        PickledTensor { dtype, shape, strides: &strides, offset: 0, requires_grad: false, key, storage }.write(pickler)
    }

    pub(super) fn write(&self, pickler: &mut Pickler) -> Result<(), TooLong> {
        let class = storage_class(self.dtype);
        pickler.global("torch._utils", if class.is_some() { "_rebuild_tensor_v2" } else { "_rebuild_tensor_v3" });
        pickler.mark();
        pickler.mark();
        pickler.text("storage")?;
        match class {
            Some(class) => pickler.global("torch", class),
            None => pickler.global("torch.storage", "UntypedStorage"),
        }
        pickler.text(self.key)?;
        pickler.text("cpu")?;
        number(pickler, if class.is_some() { self.storage / self.dtype.size() } else { self.storage });
        pickler.tuple(5);
        pickler.persistent();
        number(pickler, self.offset);
        numbers(pickler, self.shape);
        numbers(pickler, self.strides);
        pickler.bool(self.requires_grad);
        no_hooks(pickler);
        match class {
            Some(_) => pickler.tuple(6),
            None => {
                pickler.global("torch", self.dtype.name());
                pickler.tuple(7);
            }
        }
        pickler.reduce();
        Ok(())
    }
}

/// The archive of one row-major tensor, whose bytes come from elsewhere.
pub(crate) struct TensorArchive {
    /// Up to the tensor's bytes.
    pub(crate) head: Vec<u8>,
    rest: ArchiveWriter,
}

impl TensorArchive {
    pub(crate) fn new(dtype: DType, shape: &[u64]) -> Result<Self, TooLong> {
        let mut pickler = Pickler::new(Protocol::Two);
        PickledTensor::write_whole(&mut pickler, dtype, shape, "0")?;
        let mut rest = ArchiveWriter::new(&pickler.finish());
        let head = rest.begin_storage("0", shape.iter().product::<u64>() * dtype.size());
        Ok(Self { head, rest })
    }

    /// What follows the tensor's bytes.
    pub(crate) fn tail(mut self, crc: u32) -> Vec<u8> {
        self.rest.end_storage(crc);
        self.rest.finish()
    }
}

/// No hooks: an empty `OrderedDict`.
pub(super) fn no_hooks(pickler: &mut Pickler) {
    pickler.global("collections", "OrderedDict");
    pickler.tuple(0);
    pickler.reduce();
}

fn numbers(pickler: &mut Pickler, numbers: &[u64]) {
    if numbers.len() > 3 {
        pickler.mark();
    }
    numbers.iter().for_each(|each| number(pickler, *each));
    pickler.tuple(numbers.len());
}

fn number(pickler: &mut Pickler, number: u64) {
    match i64::try_from(number) {
        Ok(number) => pickler.int(number),
        Err(_) => pickler.long(&i128::from(number).to_le_bytes()),
    }
}

/// Of an extent of 0 as PyTorch has them: as if it were 1.
fn row_major(shape: &[u64]) -> Vec<u64> {
    let mut strides = vec![1; shape.len()];
    for dim in (1..shape.len()).rev() {
        strides[dim - 1] = strides[dim] * shape[dim].max(1);
    }
    strides
}
