//! What is done.

use clap::{Args, ValueEnum};

/// One way or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Task {
    Save,
    Load,
}

impl Task {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Save => "save",
            Self::Load => "load",
        }
    }
}

/// A state of equal tensors of float32, a place for it, and how it gets there.
#[derive(Args, Clone, Debug)]
pub(super) struct Job {
    pub(super) url: String,
    /// Of one tensor.
    pub(super) elements: usize,
    /// How many objects.
    pub(super) files: usize,
    /// How many requests at a time.
    pub(super) in_flight: usize,
}

pub(super) const TENSORS: usize = 64;
/// The bytes that a request carries.
pub(super) const PART: usize = 8 << 20;

impl Job {
    pub(super) fn new(url: &str, bytes: usize, files: usize, in_flight: usize) -> Self {
        Self { url: url.to_owned(), elements: bytes / TENSORS / size_of::<f32>(), files, in_flight }
    }

    /// For the command line of another process.
    pub(super) fn arguments(&self) -> [String; 4] {
        let Self { url, elements, files, in_flight } = self;
        [url.clone(), elements.to_string(), files.to_string(), in_flight.to_string()]
    }

    pub(super) fn bytes(&self) -> usize {
        TENSORS * self.elements * size_of::<f32>()
    }
}
