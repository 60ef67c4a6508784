//! The transforms that an item went through.

use std::sync::Arc;

use super::StreamTransform;
use super::chain::{Chain, Failed};

/// The transforms that an item went through, in the order in which they are undone. None, unless told.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    all: Arc<[Layer]>,
}

#[derive(Debug)]
struct Layer {
    descriptor: Arc<str>,
    /// What undoes it, if that is known.
    transform: Option<Arc<dyn StreamTransform>>,
}

impl Layers {
    pub(super) fn new(all: impl Iterator<Item = (Arc<str>, Option<Arc<dyn StreamTransform>>)>) -> Self {
        Self { all: all.map(|(descriptor, transform)| Layer { descriptor, transform }).collect() }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The descriptors, in the order in which they are undone.
    fn descriptors(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|layer| &*layer.descriptor)
    }

    /// The descriptor of a transform that is not known here, if there is one: nothing that went through it can be decoded.
    #[must_use]
    pub fn missing(&self) -> Option<&str> {
        self.all.iter().find(|layer| layer.transform.is_none()).map(|layer| &*layer.descriptor)
    }

    /// Decodes one stream; `None` if a transform is missing.
    pub(crate) fn decoder(&self) -> Option<Result<Chain, Failed>> {
        let mut coders = Vec::with_capacity(self.all.len());
        for Layer { descriptor, transform } in &*self.all {
            let version = descriptor.split_once('/').map_or("", |(_, version)| version);
            match transform.as_ref()?.decoder(version) {
                Ok(coder) => coders.push((Arc::clone(descriptor), coder)),
                Err(source) => return Some(Err(Failed { transform: Arc::clone(descriptor), source })),
            }
        }
        Some(Ok(Chain::new(coders)))
    }
}

/// The same transforms, whoever undoes them.
impl PartialEq for Layers {
    fn eq(&self, other: &Self) -> bool {
        self.descriptors().eq(other.descriptors())
    }
}

impl Eq for Layers {}
