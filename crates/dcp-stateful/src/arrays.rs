//! Arrays of `ndarray` as tensors, and maps of them as state.

use std::collections::BTreeMap;

use dcp_types::{
    DictKey, Element, ElementMut, Loaded, LocalTensor, StateDict, StateTarget, TargetTensor, TensorSpec, TypesError,
    View, ViewMut,
};
use indexmap::IndexMap;
use ndarray::{Array, ArrayRef, Dimension};

use crate::{Stateful, StatefulError};

/// An array that is a whole tensor, to be saved.
///
/// ```
/// let weight = ndarray::arr2(&[[1f32, 2.0], [3.0, 4.0]]);
/// let tensor = dcp_stateful::whole(&weight)?;
/// assert_eq!(tensor.spec.shape().dims(), [2, 2]);
/// # Ok::<(), dcp_types::TypesError>(())
/// ```
///
/// # Errors
/// As [`LocalTensor::whole`].
pub fn whole<T: Element, D: Dimension>(array: &ArrayRef<T, D>) -> Result<LocalTensor<'_>, TypesError> {
    LocalTensor::whole(array.view().into_dyn())
}

/// An array that is a whole tensor, to be loaded.
///
/// # Errors
/// As [`TargetTensor::whole`].
pub fn whole_mut<T: ElementMut, D: Dimension>(array: &mut ArrayRef<T, D>) -> Result<TargetTensor<'_>, TypesError> {
    TargetTensor::whole(array.view_mut().into_dyn())
}

/// An array that is this rank's part of a tensor, to be saved.
///
/// ```
/// use std::sync::Arc;
/// use dcp_types::{DType, DeviceMesh, Placement::Shard, StateDict, TensorSpec};
///
/// let mesh = Arc::new(DeviceMesh::new([4])?);
/// let spec = TensorSpec::sharded(DType::Float32, [1024, 64], &mesh, [Shard(0)])?;
/// let rows = ndarray::Array2::<f32>::zeros((256, 64));
/// let state = StateDict::new().with("weight", dcp_stateful::part(&spec, &rows));
/// # Ok::<(), dcp_types::TypesError>(())
/// ```
#[must_use]
pub fn part<'a, T: Element, D: Dimension>(spec: &TensorSpec, array: &'a ArrayRef<T, D>) -> LocalTensor<'a> {
    LocalTensor::new(spec.clone(), View::from_array(array.view().into_dyn()))
}

/// An array that is this rank's part of a tensor, to be loaded.
#[must_use]
pub fn part_mut<'a, T: ElementMut, D: Dimension>(spec: &TensorSpec, array: &'a mut ArrayRef<T, D>) -> TargetTensor<'a> {
    TargetTensor::new(spec.clone(), ViewMut::from_array(array.view_mut().into_dyn()))
}

macro_rules! maps {
    ($($map:ident),*) => {$(
        /// Whole arrays by name.
        impl<K, T, D> Stateful for $map<K, Array<T, D>>
        where
            K: Clone + Into<DictKey>,
            T: ElementMut,
            D: Dimension,
        {
            fn state_dict(&self) -> Result<StateDict<'_>, StatefulError> {
                Ok(self.iter().map(|(key, array)| Ok((key.clone(), whole(array)?))).collect::<Result<_, TypesError>>()?)
            }

            fn state_target(&mut self) -> Result<StateTarget<'_>, StatefulError> {
                let arrays = self.iter_mut();
                Ok(arrays.map(|(key, array)| Ok((key.clone(), whole_mut(array)?))).collect::<Result<_, TypesError>>()?)
            }

            /// All of it is in place already.
            fn load_state_dict(&mut self, _loaded: Loaded) -> Result<(), StatefulError> {
                Ok(())
            }
        }
    )*};
}

// No HashMap: ranks would name the same arrays in another order each.
maps!(BTreeMap, IndexMap);
