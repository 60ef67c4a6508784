//! Places in a state tree, and the flat names that stand for them.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A fully qualified name: the parts of a [`StatePath`] joined by dots.
///
/// A key may itself contain dots, so a name is never split again; the path is kept beside it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fqn(Arc<str>);

impl Fqn {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for Fqn {
    fn from(name: T) -> Self {
        Self(name.into())
    }
}

impl std::borrow::Borrow<str> for Fqn {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fqn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Fqn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// A key of a dict.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DictKey {
    /// A text key.
    #[serde(rename = "s")]
    Str(Arc<str>),
    /// An integer key, as in an optimizer's `state`.
    #[serde(rename = "i")]
    Int(i64),
}

impl fmt::Display for DictKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Str(key) => f.write_str(key),
            Self::Int(key) => key.fmt(f),
        }
    }
}

impl fmt::Debug for DictKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Str(key) => fmt::Debug::fmt(&**key, f),
            Self::Int(key) => key.fmt(f),
        }
    }
}

impl From<&str> for DictKey {
    fn from(key: &str) -> Self {
        Self::Str(key.into())
    }
}

impl From<String> for DictKey {
    fn from(key: String) -> Self {
        Self::Str(key.into())
    }
}

impl From<i64> for DictKey {
    fn from(key: i64) -> Self {
        Self::Int(key)
    }
}

/// One step into a state tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Segment {
    /// Into a dict.
    #[serde(rename = "k")]
    Key(DictKey),
    /// Into a list.
    #[serde(rename = "l")]
    Item(u32),
    /// Into a tuple.
    #[serde(rename = "t")]
    TupleItem(u32),
}

impl Segment {
    /// Puts one step more at the end of a flat name.
    pub(crate) fn append_to(&self, name: &mut String, is_first: bool) {
        if !is_first {
            name.push('.');
        }
        // Writing to a string cannot fail.
        let _ = match self {
            Self::Key(DictKey::Str(key)) => name.write_str(key),
            Self::Key(key) => write!(name, "{key}"),
            Self::Item(index) | Self::TupleItem(index) => write!(name, "{index}"),
        };
    }
}

/// A place in a state tree: the steps that lead to it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StatePath(Arc<[Segment]>);

impl StatePath {
    /// The place that these steps lead to.
    #[must_use]
    pub fn new(segments: Vec<Segment>) -> Self {
        Self(segments.into())
    }

    /// The place that these steps lead to.
    pub(crate) fn of(segments: &[Segment]) -> Self {
        Self(segments.into())
    }

    /// The steps, outermost first.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The flat name of this place: its steps joined by dots, as PyTorch does.
    #[must_use]
    pub fn fqn(&self) -> Fqn {
        let mut name = String::new();
        for (number, segment) in self.0.iter().enumerate() {
            segment.append_to(&mut name, number == 0);
        }
        name.into()
    }
}

impl fmt::Display for StatePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in self.0.iter() {
            match segment {
                Segment::Key(key) => write!(f, "[{key:?}]")?,
                Segment::Item(index) => write!(f, "[{index}]")?,
                Segment::TupleItem(index) => write!(f, "({index})")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for StatePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
