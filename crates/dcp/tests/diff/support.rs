//! Saves small states, and says what differs in them.

use dcp::{
    Comparer, Comparison, DType, DcpFormat, Elements, Format, LocalTensor, MemoryStore, Mismatch, NativeFormat, Saver,
    Shape, StateDict, TensorSpec, View,
};

/// A tensor by name: its dtype, shape and bytes.
pub(crate) type Tensor = (&'static str, DType, Vec<u64>, Vec<u8>);

/// A tensor of elements of any Rust type.
pub(crate) fn tensor<const N: usize, T: Copy>(
    name: &'static str,
    dtype: DType,
    shape: &[u64],
    elements: &[T],
    bytes: impl Fn(T) -> [u8; N],
) -> Tensor {
    (name, dtype, shape.to_vec(), elements.iter().flat_map(|&element| bytes(element)).collect())
}

/// One of float32.
pub(crate) fn floats(name: &'static str, shape: &[u64], elements: &[f32]) -> Tensor {
    tensor(name, DType::Float32, shape, elements, f32::to_le_bytes)
}

/// A state of tensors, each of which is whole.
pub(crate) fn state(tensors: &[Tensor]) -> StateDict<'_> {
    tensors.iter().fold(StateDict::new(), |state, (name, dtype, shape, bytes)| {
        let spec = TensorSpec::replicated(*dtype, Shape::new(shape.iter().copied()).expect("a shape")).expect("a spec");
        let view = View::from_bytes(*dtype, shape, bytes).expect("a view");
        state.with(*name, LocalTensor::new(spec, view))
    })
}

/// Saves tensors natively.
pub(crate) fn save(tensors: &[Tensor]) -> MemoryStore {
    save_as(NativeFormat::new(), state(tensors))
}

/// Saves PyTorch's format.
pub(crate) fn save_dcp(tensors: &[Tensor]) -> MemoryStore {
    save_as(DcpFormat::new(), state(tensors))
}

pub(crate) fn save_as(format: impl Format + 'static, state: StateDict<'_>) -> MemoryStore {
    let store = MemoryStore::new();
    Saver::new().format(format).save_dict(&state, store.clone()).expect("saves");
    store
}

pub(crate) fn compare(left: &MemoryStore, right: &MemoryStore) -> Comparison {
    compare_with(Comparer::new(), left, right)
}

pub(crate) fn compare_with(comparer: Comparer<'_>, left: &MemoryStore, right: &MemoryStore) -> Comparison {
    comparer.compare(left.clone(), right.clone()).expect("both open")
}

/// What is said of two single tensors, saved in both formats; `None` if they are the same.
pub(crate) fn elements_with(comparer: &dyn Fn() -> Comparer<'static>, left: Tensor, right: Tensor) -> Option<Elements> {
    let (left, right) = ([left], [right]);
    let found = [
        compare_with(comparer(), &save(&left), &save(&right)),
        compare_with(comparer(), &save_dcp(&left), &save(&right)),
    ]
    .map(|comparison| {
        assert!(comparison.unreadable.is_empty(), "{comparison:?}");
        match &comparison.differences[..] {
            [] => None,
            [one] => match &one.mismatch {
                Mismatch::Elements(elements) => Some(elements.clone()),
                other => panic!("{other:?}"),
            },
            more => panic!("{more:?}"),
        }
    });
    assert_eq!(found[0], found[1]);
    found.into_iter().next().flatten()
}

pub(crate) fn elements(left: Tensor, right: Tensor) -> Option<Elements> {
    elements_with(&Comparer::new, left, right)
}

/// The figures: how many differ, how many of these with NaN, the first, the largest differences.
pub(crate) type Figures = (u64, u64, Vec<u64>, Option<f64>, Option<f64>);

pub(crate) fn figures(found: Option<Elements>) -> Option<Figures> {
    found.map(|found| (found.differing, found.nan, found.first, found.max_abs, found.max_rel))
}
