//! The trait.

use dcp_types::{Loaded, StateDict, StateTarget};

use crate::StatefulError;

/// Something with state that is saved and loaded: PyTorch's `Stateful`.
///
/// PyTorch's protocol has two methods, `state_dict` and `load_state_dict`: there a load writes into the very tensors
/// that `state_dict` gave out. Here loading has two steps, because a state dict that borrows an object's memory cannot
/// be handed back to that object. First [`state_target`](Self::state_target) lends the buffers, and the load fills them; when the
/// loan has ended, [`load_state_dict`](Self::load_state_dict) takes over what does not live in buffers.
///
/// # Contract
///
/// - `state_dict` and `state_target` name the same things, with equal shapes, dtypes and shardings.
/// - Every rank of a save names its things in the same order where it can, so that ranks with the same state say the same.
///   (No `HashMap`.)
/// - `load_state_dict` is called once per load, after all of it has succeeded. If a load fails, it is not called, and the
///   content of the buffers is undefined.
/// - What a load was allowed to leave out is not in what `load_state_dict` gets, and keeps its content.
///
/// # Examples
///
/// ```
/// use dcp_stateful::{Stateful, StatefulError, value, whole, whole_mut};
/// use dcp_types::{Loaded, LoadedLeaf, StateDict, StateTarget, TargetLeaf};
///
/// struct Trainer {
///     weight: ndarray::Array2<f32>,
///     step: u64,
/// }
///
/// impl Stateful for Trainer {
///     fn state_dict(&self) -> Result<StateDict<'_>, StatefulError> {
///         Ok(StateDict::new().with("weight", whole(&self.weight)?).with("step", self.step))
///     }
///
///     fn state_target(&mut self) -> Result<StateTarget<'_>, StatefulError> {
///         Ok(StateTarget::new().with("weight", whole_mut(&mut self.weight)?).with("step", TargetLeaf::Value))
///     }
///
///     fn load_state_dict(&mut self, mut loaded: Loaded) -> Result<(), StatefulError> {
///         self.step = value(&mut loaded, "step")?;
///         Ok(())
///     }
/// }
///
/// let mut trainer = Trainer { weight: ndarray::Array2::zeros((2, 3)), step: 0 };
/// assert_eq!(trainer.state_target()?.len(), 2);
/// // What a load brings: the weight is already where it belongs.
/// let loaded = Loaded::new().with("weight", LoadedLeaf::InPlace).with("step", LoadedLeaf::Value(17.into()));
/// trainer.load_state_dict(loaded)?;
/// assert_eq!(trainer.step, 17);
/// # Ok::<(), StatefulError>(())
/// ```
pub trait Stateful {
    /// What is to be saved: borrowed tensors, and values.
    ///
    /// # Errors
    /// [`StatefulError::Types`] where a description cannot be made; whatever else keeps the state from being told.
    fn state_dict(&self) -> Result<StateDict<'_>, StatefulError>;

    /// What is to be loaded: the buffers of the tensors, and the names of the values.
    ///
    /// # Errors
    /// As [`state_dict`](Self::state_dict).
    fn state_target(&mut self) -> Result<StateTarget<'_>, StatefulError>;

    /// Takes over what was loaded. The tensors of the target are already in their buffers.
    ///
    /// # Errors
    /// [`StatefulError::Missing`] and [`StatefulError::WrongType`] where a value is not what is needed; whatever else
    /// keeps it from being taken over.
    fn load_state_dict(&mut self, loaded: Loaded) -> Result<(), StatefulError>;
}

macro_rules! through {
    ($($pointer:ty),*) => {$(
        impl<S: Stateful + ?Sized> Stateful for $pointer {
            fn state_dict(&self) -> Result<StateDict<'_>, StatefulError> {
                (**self).state_dict()
            }

            fn state_target(&mut self) -> Result<StateTarget<'_>, StatefulError> {
                (**self).state_target()
            }

            fn load_state_dict(&mut self, loaded: Loaded) -> Result<(), StatefulError> {
                (**self).load_state_dict(loaded)
            }
        }
    )*};
}

through!(&mut S, Box<S>);
