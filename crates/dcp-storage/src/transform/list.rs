//! The transforms that a format was given.

use std::sync::Arc;

use super::chain::{Chain, Failed};
use super::{Layers, StreamTransform};

/// Transforms in the order in which they are applied when writing. For reading they are those that are known besides what is known
/// anyway, and their order does not matter.
#[derive(Clone, Debug, Default)]
pub struct Transforms {
    all: Vec<Arc<dyn StreamTransform>>,
}

impl Transforms {
    /// The most transforms that one item goes through.
    pub const MAX: usize = 4;
    /// The longest name of a transform, in bytes.
    const NAME: usize = 128;
    /// The longest version, in bytes.
    const VERSION: usize = 64;

    /// No transforms.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more, applied after the others.
    #[must_use]
    pub fn with(mut self, transform: impl StreamTransform + 'static) -> Self {
        self.all.push(Arc::new(transform));
        self
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The descriptors of all, in the order in which they are undone: what is stored beside what was encoded.
    #[must_use]
    pub fn descriptors(&self) -> Vec<String> {
        self.all.iter().rev().map(|transform| descriptor(&**transform)).collect()
    }

    /// What is wrong with them for writing: too many, or names that cannot be descriptors.
    ///
    /// # Errors
    /// That, in words.
    pub fn check(&self) -> Result<(), String> {
        if self.all.len() > Self::MAX {
            return Err(format!("{} transforms, of {} at the most", self.all.len(), Self::MAX));
        }
        self.all.iter().try_for_each(|transform| Self::check_one(&**transform))
    }

    /// What is wrong with the name or the version of one.
    pub(crate) fn check_one(transform: &dyn StreamTransform) -> Result<(), String> {
        let fits = |text: &str, most| (1..=most).contains(&text.len()) && !text.contains(|c: char| c.is_control());
        let (name, version) = (transform.name(), transform.version());
        if fits(name, Self::NAME) && !name.contains('/') && fits(version, Self::VERSION) && transform.reads(version) {
            return Ok(());
        }
        let (longest, longest_version) = (Self::NAME, Self::VERSION);
        Err(format!(
            "a transform of the name {name:?} and the version {version:?}: a name has 1 to {longest} bytes and no slash, a version 1 to \
             {longest_version}, and the transform reads it"
        ))
    }

    /// What undoes the transforms that these descriptors name, in this order. One that is not known is an error only where it
    /// is needed.
    #[must_use]
    pub fn layers<'d>(&self, descriptors: impl IntoIterator<Item = &'d str>) -> Layers {
        Layers::new(descriptors.into_iter().map(|descriptor| (Arc::from(descriptor), self.find(descriptor))))
    }

    /// Encodes one stream.
    pub(crate) fn encoder(&self) -> Result<Chain, Failed> {
        let coder = |transform: &Arc<dyn StreamTransform>| {
            let descriptor: Arc<str> = descriptor(&**transform).into();
            match transform.encoder() {
                Ok(coder) => Ok((descriptor, coder)),
                Err(source) => Err(Failed { transform: descriptor, source }),
            }
        };
        Ok(Chain::new(self.all.iter().map(coder).collect::<Result<Vec<_>, _>>()?))
    }

    /// One's own comes first.
    fn find(&self, descriptor: &str) -> Option<Arc<dyn StreamTransform>> {
        let (name, version) = descriptor.split_once('/').unwrap_or((descriptor, ""));
        let knows = |transform: &&Arc<dyn StreamTransform>| transform.name() == name && transform.reads(version);
        self.all.iter().find(knows).cloned().or_else(|| built_in().into_iter().find(|transform| knows(&transform)))
    }
}

/// Those that are known anyway.
fn built_in() -> Vec<Arc<dyn StreamTransform>> {
    vec![
        #[cfg(feature = "zstd")]
        Arc::new(super::Zstd::default()),
    ]
}

fn descriptor(transform: &dyn StreamTransform) -> String {
    format!("{}/{}", transform.name(), transform.version())
}
