//! What can be saved and loaded in place. (First sketch: to be completed.)
use dcp_types::{Loaded, StateDict, StateTarget, TypesError};
/// State.
pub trait Stateful {
    /// What to save.
    /// # Errors
    /// Any.
    fn state_dict(&self) -> Result<StateDict<'_>, StatefulError>;
    /// Where to load.
    /// # Errors
    /// Any.
    fn state_target(&mut self) -> Result<StateTarget<'_>, StatefulError>;
    /// Takes values.
    /// # Errors
    /// Any.
    fn load_state_dict(&mut self, loaded: Loaded) -> Result<(), StatefulError>;
}
/// What went wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum StatefulError {
    /// Types.
    Types(TypesError),
}
impl std::fmt::Display for StatefulError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}
impl std::error::Error for StatefulError {}
