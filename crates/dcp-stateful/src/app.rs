//! Several objects as one.

use std::fmt;

use dcp_types::{DictKey, Loaded, LoadedLeaf, StateDict, StateTarget, Tree, Value};
use indexmap::IndexMap;

use crate::from_value::describe_node;
use crate::{Stateful, StatefulError};

/// Several objects under names, saved and loaded as one: what a checkpoint holds of a training program.
///
/// # Examples
///
/// ```
/// use std::collections::BTreeMap;
/// use dcp_stateful::{AppState, Stateful};
///
/// let mut model = BTreeMap::from([("weight".to_owned(), ndarray::Array2::<f32>::zeros((4, 4)))]);
/// let mut momentum = model.clone();
/// let app = AppState::new().with("model", &mut model).with("optim", &mut momentum);
/// let names: Vec<_> = dcp_types::flatten_state(app.state_dict()?)?.into_keys().collect();
/// assert_eq!(names, ["model.weight".into(), "optim.weight".into()]);
/// # Ok::<(), dcp_stateful::StatefulError>(())
/// ```
#[derive(Default)]
pub struct AppState<'a> {
    parts: IndexMap<DictKey, &'a mut dyn Stateful>,
}

impl<'a> AppState<'a> {
    /// No object yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more object, for chaining. An object of the same name is replaced.
    #[must_use]
    pub fn with(mut self, name: impl Into<DictKey>, part: &'a mut dyn Stateful) -> Self {
        self.parts.insert(name.into(), part);
        self
    }
}

impl Stateful for AppState<'_> {
    fn state_dict(&self) -> Result<StateDict<'_>, StatefulError> {
        self.parts.iter().map(|(key, part)| Ok((key.clone(), of_part(key, part.state_dict())?))).collect()
    }

    fn state_target(&mut self) -> Result<StateTarget<'_>, StatefulError> {
        self.parts.iter_mut().map(|(key, part)| Ok((key.clone(), of_part(key, part.state_target())?))).collect()
    }

    /// Each object gets what is under its name; nothing, if a load was allowed to leave all of that out.
    fn load_state_dict(&mut self, mut loaded: Loaded) -> Result<(), StatefulError> {
        for (key, part) in &mut self.parts {
            let own = own_dict(key, loaded.take(key.clone()))?;
            of_part(key, part.load_state_dict(own))?;
        }
        Ok(())
    }
}

/// Says which object it was.
fn of_part<T>(key: &DictKey, result: Result<T, StatefulError>) -> Result<T, StatefulError> {
    result.map_err(|source| StatefulError::Part { key: key.clone(), source: Box::new(source) })
}

fn own_dict(key: &DictKey, node: Option<Tree<LoadedLeaf>>) -> Result<Loaded, StatefulError> {
    match node {
        None => Ok(Loaded::new()),
        Some(Tree::Dict(dict)) => Ok(dict),
        // An empty dict is stored as a value.
        Some(Tree::Leaf(LoadedLeaf::Value(Value::Dict(items)))) if items.is_empty() => Ok(Loaded::new()),
        Some(other) => {
            let (expected, found) = ("a dict".to_owned(), describe_node(&other));
            Err(StatefulError::WrongType { key: key.clone(), expected, found })
        }
    }
}

impl fmt::Debug for AppState<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AppState").field(&self.parts.keys()).finish()
    }
}
