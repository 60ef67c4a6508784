//! Opening checkpoints of formats that are brought along.

use std::path::Path;
use std::sync::Arc;

use dcp_storage::{Format, Strictness};

use crate::{Catalog, Checkpoint, Error, Location, formats};

/// Opens checkpoints of formats that are brought along, or of known ones with transforms that are.
///
/// ```
/// use dcp::{Coder, MemoryStore, NativeFormat, Opener, Saver, StateDict, StreamTransform};
///
/// /// Turns every bit around. Whoever wants to read what was written through it has to have it.
/// #[derive(Clone, Debug)]
/// struct Not;
///
/// impl StreamTransform for Not {
///     fn name(&self) -> &str {
///         "stream.not@example.org"
///     }
///     fn version(&self) -> &str {
///         "1"
///     }
///     fn encoder(&self) -> Result<Box<dyn Coder>, Box<dyn std::error::Error + Send + Sync>> {
///         Ok(Box::new(Not))
///     }
///     fn decoder(&self, _version: &str) -> Result<Box<dyn Coder>, Box<dyn std::error::Error + Send + Sync>> {
///         Ok(Box::new(Not))
///     }
/// }
///
/// impl Coder for Not {
///     fn code(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, Box<dyn std::error::Error + Send + Sync>> {
///         output.extend(input.iter().map(|byte| !byte));
///         Ok(input.len())
///     }
///     fn finish(&mut self, _output: &mut Vec<u8>) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
///         Ok(true)
///     }
/// }
///
/// let (store, format) = (MemoryStore::new(), NativeFormat::new().transform(Not));
/// Saver::new().format(format.clone()).save_dict(&StateDict::new().with("step", 7), store.clone())?;
/// let checkpoint = Opener::new().format(format).open(store)?;
/// assert_eq!(checkpoint.value("step")?, 7.into());
/// # Ok::<(), dcp::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Opener {
    formats: Vec<Arc<dyn Format>>,
}

impl Opener {
    /// Opens what this build knows, as [`Checkpoint::open`] does.
    #[must_use]
    pub fn new() -> Self {
        Self { formats: formats::known() }
    }

    /// The same with one more format. If it has the name of a known one, it stands for that.
    #[must_use]
    pub fn format(mut self, format: impl Format + 'static) -> Self {
        self.formats.insert(0, Arc::new(format));
        self
    }

    /// The names of the formats.
    #[must_use]
    pub fn format_names(&self) -> Vec<&'static str> {
        self.formats.iter().map(|format| format.name()).collect()
    }

    /// The name of the format that a place's ending tells, as `torch-save` for `model.pt`, if there is one.
    #[must_use]
    pub fn format_by_ending(&self, place: &Path) -> Option<&'static str> {
        let ending = place.extension()?.to_str()?.to_lowercase();
        let tells = |format: &&Arc<dyn Format>| format.endings().contains(&ending.as_str());
        self.formats.iter().find(tells).map(|format| format.name())
    }

    /// Opens the checkpoint at a place.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open(&self, at: impl Into<Location>) -> Result<Checkpoint, Error> {
        Checkpoint::open_in(at.into().store()?, Strictness::Strict, &self.formats)
    }

    /// Opens the checkpoint at a place for rescue.
    ///
    /// # Errors
    /// As [`Checkpoint::salvage`].
    pub fn salvage(&self, at: impl Into<Location>) -> Result<Checkpoint, Error> {
        Checkpoint::open_in(at.into().store()?, Strictness::Salvage, &self.formats)
    }

    /// Lists the checkpoints below a place.
    ///
    /// # Errors
    /// As [`Catalog::of`].
    pub fn catalog(&self, at: impl Into<Location>) -> Result<Catalog, Error> {
        Catalog::new(&at.into(), &self.formats)
    }

    pub(crate) fn formats(&self) -> &[Arc<dyn Format>] {
        &self.formats
    }
}

impl Default for Opener {
    fn default() -> Self {
        Self::new()
    }
}
