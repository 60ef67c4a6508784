//! What can be saved and loaded in place.
//!
//! A model, an optimizer or a data loader implements [`Stateful`]; an [`AppState`] is several of them under names, as
//! DCP's `{"model": model, "optim": optim}`.

mod app;
mod arrays;
mod error;
mod from_value;
mod stateful;

pub use app::AppState;
pub use arrays::{part, part_mut, whole, whole_mut};
pub use error::StatefulError;
pub use from_value::{FromValue, value, value_if_loaded};
pub use stateful::Stateful;
