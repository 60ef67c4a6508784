//! The leaves of state trees, and how the trees flatten.

use super::tree::{Dict, Flat, Tree, flatten};
use crate::{DType, DataSource, Dest, ElementMut, Shape, Source, TensorSpec, TypesError, Value, View, ViewMut};

/// What a rank saves: a tree of tensors and values.
///
/// ```
/// use dcp_types::{LocalTensor, StateDict};
/// let weight = ndarray::arr2(&[[1f32, 2.0], [3.0, 4.0]]);
/// let state = StateDict::new()
///     .with("model", StateDict::new().with("weight", LocalTensor::whole(weight.view().into_dyn())?))
///     .with("step", 17);
/// # Ok::<(), dcp_types::TypesError>(())
/// ```
pub type StateDict<'a> = Dict<StateLeaf<'a>>;

/// What a rank wants loaded, and into which buffers.
pub type StateTarget<'a> = Dict<TargetLeaf<'a>>;

/// What a load brought: values, and the tensors for which no buffer was given.
pub type Loaded = Dict<LoadedLeaf>;

/// A flattened [`StateDict`].
pub type FlatState<'a> = Flat<StateLeaf<'a>>;

/// A flattened [`StateTarget`].
pub type FlatTarget<'a> = Flat<TargetLeaf<'a>>;

/// A leaf of a [`StateDict`].
#[derive(Debug)]
pub enum StateLeaf<'a> {
    /// A tensor, or this rank's part of one.
    Tensor(Box<LocalTensor<'a>>),
    /// A plain value.
    Value(Value),
}

/// A tensor of which this rank holds a part, to be saved.
#[derive(Debug)]
pub struct LocalTensor<'a> {
    /// The whole tensor, and how it lies over the ranks.
    pub spec: TensorSpec,
    /// This rank's buffer.
    pub source: Source<'a>,
}

impl<'a> LocalTensor<'a> {
    /// A tensor that this rank holds whole (and every other rank that saves it, too).
    ///
    /// # Errors
    /// As [`Shape::new`].
    pub fn whole<T: crate::Element>(array: ndarray::ArrayViewD<'a, T>) -> Result<Self, TypesError> {
        let view = View::from_array(array);
        Ok(Self { spec: TensorSpec::replicated(view.dtype(), view.shape())?, source: Source::View(view) })
    }

    /// This rank's part of a tensor.
    #[must_use]
    pub fn new(spec: TensorSpec, local: View<'a>) -> Self {
        Self { spec, source: Source::View(local) }
    }

    /// This rank's part of a tensor, whose memory cannot be lent.
    #[must_use]
    pub fn lazy(spec: TensorSpec, local: impl DataSource + 'a) -> Self {
        Self { spec, source: Source::Lazy(Box::new(local)) }
    }
}

/// A leaf of a [`StateTarget`].
#[derive(Debug)]
pub enum TargetLeaf<'a> {
    /// A tensor, or this rank's part of one, with the buffer to fill.
    Tensor(Box<TargetTensor<'a>>),
    /// A plain value, which the load returns.
    Value,
}

/// A tensor of which this rank wants a part, and the buffer for it.
#[derive(Debug)]
pub struct TargetTensor<'a> {
    /// The whole tensor, and how it is to lie over the ranks.
    pub spec: TensorSpec,
    /// This rank's buffer.
    pub dest: ViewMut<'a>,
}

impl<'a> TargetTensor<'a> {
    /// A tensor that this rank wants whole.
    ///
    /// # Errors
    /// As [`Shape::new`].
    pub fn whole<T: ElementMut>(array: ndarray::ArrayViewMutD<'a, T>) -> Result<Self, TypesError> {
        let dest = ViewMut::from_array(array);
        Ok(Self { spec: TensorSpec::replicated(dest.dtype(), dest.shape())?, dest })
    }

    /// This rank's part of a tensor.
    #[must_use]
    pub fn new(spec: TensorSpec, local: ViewMut<'a>) -> Self {
        Self { spec, dest: local }
    }
}

/// A leaf of what was [`Loaded`].
#[derive(Clone, Debug, PartialEq)]
pub enum LoadedLeaf {
    /// A tensor, loaded into memory of its own.
    Tensor(OwnedTensor),
    /// A tensor, loaded into the buffer that was given for it.
    InPlace,
    /// A plain value.
    Value(Value),
}

impl LoadedLeaf {
    /// The value, if this is one.
    #[must_use]
    pub fn value(&self) -> Option<&Value> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }
}

/// A tensor with memory of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnedTensor {
    dtype: DType,
    shape: Shape,
    bytes: Vec<u8>,
}

impl OwnedTensor {
    /// A tensor of zeros.
    #[must_use]
    pub fn zeros(dtype: DType, shape: Shape) -> Self {
        let bytes = vec![0; (shape.numel() * dtype.size()) as usize];
        Self { dtype, shape, bytes }
    }

    /// The dtype.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The extents.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The elements: row-major, little-endian.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The elements, to be overwritten.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// A view of the tensor.
    ///
    /// # Errors
    /// [`TypesError::TooLarge`] where extents exceed the address space.
    pub fn view(&self) -> Result<View<'_>, TypesError> {
        View::from_bytes(self.dtype, self.shape.dims(), &self.bytes)
    }

    /// A mutable view of the tensor.
    ///
    /// # Errors
    /// [`TypesError::TooLarge`] where extents exceed the address space.
    pub fn view_mut(&mut self) -> Result<ViewMut<'_>, TypesError> {
        ViewMut::from_bytes(self.dtype, self.shape.dims(), &mut self.bytes)
    }

    /// The elements as an array of a Rust type.
    ///
    /// # Errors
    /// [`TypesError::LocalDType`] if the tensor is not of that dtype.
    pub fn to_array<T: ElementMut>(&self) -> Result<ndarray::ArrayD<T>, TypesError> {
        if T::DTYPE != self.dtype {
            return Err(TypesError::LocalDType { expected: T::DTYPE, found: self.dtype });
        }
        let elements = self.bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect();
        let shape: Vec<usize> = self.shape.dims().iter().map(|&extent| extent as usize).collect();
        ndarray::ArrayD::from_shape_vec(shape, elements).map_err(|_| TypesError::NotFlat)
    }
}

impl std::fmt::Debug for OwnedTensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OwnedTensor({} {:?})", self.dtype, self.shape)
    }
}

/// Flattens a state dict as PyTorch (2.4 and later) does: dicts always; lists and tuples where they hold a
/// tensor or a dict. Any other list or tuple, and an empty dict, becomes one value.
///
/// # Errors
/// [`TypesError::NameCollision`], [`TypesError::TooDeep`].
pub fn flatten_state(state: StateDict<'_>) -> Result<FlatState<'_>, TypesError> {
    flatten(state, &|node| if is_plain(&node) { plain(node).map(StateLeaf::Value) } else { Err(node) })
}

/// Flattens a target in the same way.
///
/// # Errors
/// [`TypesError::NameCollision`], [`TypesError::TooDeep`].
pub fn flatten_target(target: StateTarget<'_>) -> Result<FlatTarget<'_>, TypesError> {
    flatten(target, &|node| match node {
        Tree::List(items) if items.iter().all(wants_value) => Ok(TargetLeaf::Value),
        Tree::Tuple(items) if items.iter().all(wants_value) => Ok(TargetLeaf::Value),
        Tree::Dict(dict) if dict.is_empty() => Ok(TargetLeaf::Value),
        other => Err(other),
    })
}

fn wants_value(node: &Tree<TargetLeaf<'_>>) -> bool {
    match node {
        Tree::Leaf(leaf) => matches!(leaf, TargetLeaf::Value),
        Tree::List(items) | Tree::Tuple(items) => items.iter().all(wants_value),
        Tree::Dict(_) => false,
    }
}

/// Whether a container is stored as one value.
fn is_plain(node: &Tree<StateLeaf<'_>>) -> bool {
    fn without_dicts(node: &Tree<StateLeaf<'_>>) -> bool {
        match node {
            Tree::Leaf(leaf) => matches!(leaf, StateLeaf::Value(_)),
            Tree::List(items) | Tree::Tuple(items) => items.iter().all(without_dicts),
            Tree::Dict(_) => false,
        }
    }
    match node {
        Tree::Leaf(_) => false,
        Tree::Dict(dict) => dict.is_empty(),
        Tree::List(_) | Tree::Tuple(_) => without_dicts(node),
    }
}

fn plain<'a>(node: Tree<StateLeaf<'a>>) -> Result<Value, Tree<StateLeaf<'a>>> {
    Ok(match node {
        Tree::Leaf(StateLeaf::Value(value)) => value,
        Tree::List(items) => Value::List(items.into_iter().map(plain).collect::<Result<_, _>>()?),
        Tree::Tuple(items) => Value::Tuple(items.into_iter().map(plain).collect::<Result<_, _>>()?),
        Tree::Dict(dict) if dict.is_empty() => Value::Dict(Vec::new()),
        other => return Err(other),
    })
}

impl<'a> From<LocalTensor<'a>> for Tree<StateLeaf<'a>> {
    fn from(tensor: LocalTensor<'a>) -> Self {
        Self::Leaf(StateLeaf::Tensor(Box::new(tensor)))
    }
}

impl<'a> From<TargetTensor<'a>> for Tree<TargetLeaf<'a>> {
    fn from(tensor: TargetTensor<'a>) -> Self {
        Self::Leaf(TargetLeaf::Tensor(Box::new(tensor)))
    }
}

impl<'a> From<TargetLeaf<'a>> for Tree<TargetLeaf<'a>> {
    fn from(leaf: TargetLeaf<'a>) -> Self {
        Self::Leaf(leaf)
    }
}

impl From<LoadedLeaf> for Tree<LoadedLeaf> {
    fn from(leaf: LoadedLeaf) -> Self {
        Self::Leaf(leaf)
    }
}

macro_rules! value_leaves {
    ($($rust:ty),*) => {$(
        impl From<$rust> for Tree<StateLeaf<'_>> {
            fn from(value: $rust) -> Self {
                Self::Leaf(StateLeaf::Value(value.into()))
            }
        }
    )*};
}

value_leaves!(Value, bool, i32, u32, i64, u64, f64, &str, String, bytes::Bytes);

/// A shorter borrow of a whole tree, for saving state that somebody else owns.
impl StateDict<'_> {
    /// A state dict of the same leaves.
    #[must_use]
    pub fn reborrow(&self) -> StateDict<'_> {
        self.iter().map(|(key, node)| (key.clone(), reborrow(node))).collect()
    }
}

fn reborrow<'a>(node: &'a Tree<StateLeaf<'_>>) -> Tree<StateLeaf<'a>> {
    match node {
        Tree::Dict(dict) => Tree::Dict(dict.reborrow()),
        Tree::List(items) => Tree::List(items.iter().map(reborrow).collect()),
        Tree::Tuple(items) => Tree::Tuple(items.iter().map(reborrow).collect()),
        Tree::Leaf(StateLeaf::Value(value)) => Tree::Leaf(StateLeaf::Value(value.clone())),
        Tree::Leaf(StateLeaf::Tensor(tensor)) => {
            let (spec, source) = (tensor.spec.clone(), tensor.source.reborrow());
            Tree::Leaf(StateLeaf::Tensor(Box::new(LocalTensor { spec, source })))
        }
    }
}

/// A tensor's buffer as the destination of one read.
impl<'a> From<ViewMut<'a>> for Dest<'a> {
    fn from(view: ViewMut<'a>) -> Self {
        Self::Memory(view)
    }
}
