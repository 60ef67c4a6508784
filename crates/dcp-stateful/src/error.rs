//! What can go wrong between an object and its state.

use dcp_types::{DataError, DictKey, TypesError};

/// Why an object cannot tell its state, or cannot take it over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatefulError {
    /// A description that contradicts itself.
    #[error(transparent)]
    Types(Box<TypesError>),
    /// A value that is needed was not loaded.
    #[error("{key} was not loaded")]
    Missing {
        /// Its key.
        key: DictKey,
    },
    /// What was loaded is of another type than is needed.
    #[error("{key}: expected {expected}, found {found}")]
    WrongType {
        /// Its key.
        key: DictKey,
        /// What is needed.
        expected: String,
        /// What was loaded.
        found: &'static str,
    },
    /// What went wrong with one of several objects.
    #[error("{key}: {source}")]
    Part {
        /// The name of the object.
        key: DictKey,
        /// What went wrong with it.
        source: Box<StatefulError>,
    },
    /// What an object of a user reports.
    #[error(transparent)]
    Custom(DataError),
}

impl StatefulError {
    /// What an object of a user reports: an error of its own, or just a text.
    #[must_use]
    pub fn custom(error: impl Into<DataError>) -> Self {
        Self::Custom(error.into())
    }

    /// A short, stable word for what is wrong, for programs and for other ranks.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Types(_) => "types",
            Self::Missing { .. } => "missing",
            Self::WrongType { .. } => "wrong-type",
            Self::Part { source, .. } => source.kind(),
            Self::Custom(_) => "custom",
        }
    }

    /// The keys that lead to what is wrong, joined by dots as a name in a checkpoint; empty if none is at fault.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Missing { key } | Self::WrongType { key, .. } => key.to_string(),
            Self::Part { key, source } => match &*source.name() {
                "" => key.to_string(),
                inner => format!("{key}.{inner}"),
            },
            Self::Types(_) | Self::Custom(_) => String::new(),
        }
    }
}

impl From<TypesError> for StatefulError {
    fn from(fault: TypesError) -> Self {
        Self::Types(Box::new(fault))
    }
}
