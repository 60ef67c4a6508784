//! Why a command did not do what it was asked.

use std::io;
use std::path::Path;

use dcp::{Error, TypesError};

use crate::Status;
use crate::units::printable;

#[derive(Debug)]
pub(crate) enum Failure {
    /// What the checkpoint library says.
    Checkpoint(Error),
    /// What is wrong with a checkpoint, or with a file like one.
    Bad(String),
    /// Why it cannot be done.
    Impossible(String),
    /// The output could not be written.
    Output(io::Error),
}

impl Failure {
    /// A path with which something could not be done.
    pub(crate) fn path(verb: &str, path: &Path, error: &io::Error) -> Self {
        Self::Impossible(format!("cannot {verb} {}: {error}", path.display()))
    }

    /// Whether nobody reads the output any more.
    pub(crate) fn is_closed_output(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Checkpoint(error) if error.is_bad_checkpoint() => Status::Bad,
            Self::Checkpoint(Error::Cancelled) => Status::Interrupted,
            Self::Bad(_) => Status::Bad,
            _ => Status::Impossible,
        }
    }

    /// What went wrong, in one line.
    pub(crate) fn line(&self) -> String {
        let text = match self {
            Self::Checkpoint(error) => error.to_string(),
            Self::Bad(text) | Self::Impossible(text) => text.clone(),
            Self::Output(error) => format!("cannot write the output: {error}"),
        };
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        printable(&lines.join("; ")).into_owned()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Checkpoint(error)
    }
}

impl From<TypesError> for Failure {
    fn from(error: TypesError) -> Self {
        Self::Checkpoint(error.into())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Output(error.into())
    }
}
