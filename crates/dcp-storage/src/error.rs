//! What can go wrong with storage.

use std::io;

use crate::StorePath;

/// What went wrong in a store, a format or the engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The object does not exist.
    #[error("{path} does not exist in {location}")]
    NotFound {
        /// The store.
        location: String,
        /// The object.
        path: StorePath,
    },
    /// The object exists and must not be replaced.
    #[error("{path} already exists in {location}")]
    AlreadyExists {
        /// The store.
        location: String,
        /// The object.
        path: StorePath,
    },
    /// Somebody else changed the object: the condition of a publish does not hold.
    #[error("{path} in {location} was changed by somebody else: expected {expected}, found {found}")]
    PreconditionFailed {
        /// The store.
        location: String,
        /// The object.
        path: StorePath,
        /// The state that was required.
        expected: String,
        /// The state that was there.
        found: String,
    },
    /// A range reaches past the end of an object: it was cut short, or the index lies.
    #[error("bytes {offset}..{} of {path} in {location} were asked for, but it has {size} bytes", .offset.saturating_add(*.length))]
    OutOfRange {
        /// The store.
        location: String,
        /// The object.
        path: StorePath,
        /// First byte of the range.
        offset: u64,
        /// Length of the range in bytes.
        length: u64,
        /// The object's size in bytes.
        size: u64,
    },
    /// A name that cannot be an object's.
    #[error("{path:?} is not a valid object name: {reason}")]
    InvalidPath {
        /// The name as given.
        path: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// Something other than a regular file under an object's name: a device, a pipe, a link out of the root.
    #[error("{path} in {location} is {found}, not a regular file inside the checkpoint")]
    NotAFile {
        /// The store.
        location: String,
        /// The object.
        path: StorePath,
        /// What is there.
        found: &'static str,
    },
    /// No checkpoint is there.
    #[error("there is no checkpoint in {location}: {reason}")]
    NoCheckpoint {
        /// Where it was looked for.
        location: String,
        /// What was expected and what was found.
        reason: String,
    },
    /// Parts of a checkpoint are there, but what makes them one is not: a save has not finished, or has lost its index.
    #[error(
        "{location} holds parts of a checkpoint ({found}) but no index: a save has not finished, or its index was lost"
    )]
    Unfinished {
        /// Where.
        location: String,
        /// One of the parts.
        found: StorePath,
    },
    /// A checkpoint is there and must not be replaced.
    #[error(
        "{location} already holds a checkpoint ({found}); save elsewhere, or allow overwriting if it is of the same format, and no single object of a bucket"
    )]
    Exists {
        /// Where.
        location: String,
        /// What was found.
        found: String,
    },
    /// A checkpoint was replaced by another one while it was being read. Open it again.
    #[error("the checkpoint in {location} was overwritten while it was being read ({path} is gone); open it again")]
    Overwritten {
        /// Where.
        location: String,
        /// What was missing.
        path: StorePath,
    },
    /// The structure of a file is not what its format says.
    #[error("{path} is corrupt at byte {offset}: {reason}")]
    Corrupt {
        /// The file.
        path: StorePath,
        /// Where in the file.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// Bytes of a tensor or value are not what was written.
    #[error("{fqn} is damaged: bytes {offset}..{} of {path} in {location} have checksum {found:08x}, expected {expected:08x}", .offset + .length)]
    Damaged {
        /// The tensor or value.
        fqn: dcp_types::Fqn,
        /// The store.
        location: String,
        /// The file.
        path: StorePath,
        /// First byte of the damaged block.
        offset: u64,
        /// Length of the block in bytes.
        length: u64,
        /// The checksum that was stored.
        expected: u32,
        /// The checksum of what was read.
        found: u32,
    },
    /// What is encoded does not decode: it is damaged, or was encoded with another key.
    #[error("{fqn} does not decode: {transform} fails on bytes {offset}..{} of {path}: {source}", .offset.saturating_add(*.length))]
    Undecodable {
        /// The tensor or value.
        fqn: dcp_types::Fqn,
        /// The file.
        path: StorePath,
        /// First byte of what is encoded.
        offset: u64,
        /// How many bytes that is.
        length: u64,
        /// The descriptor of the transform that cannot be undone.
        transform: String,
        /// What the transform said.
        source: dcp_types::DataError,
    },
    /// A transform could not encode.
    #[error("{transform} cannot encode what is to be written to {path}: {source}")]
    Unencodable {
        /// The file that it was to be written to.
        path: StorePath,
        /// The descriptor of the transform.
        transform: String,
        /// What the transform said.
        source: dcp_types::DataError,
    },
    /// The bytes of a value are sound, but do not decode.
    #[error("a value does not decode: {reason}")]
    BadValue {
        /// What is wrong with them.
        reason: String,
    },
    /// The file was written by a newer version of this format.
    #[error("{path} is of version {found} of its format; this build reads up to version {supported}")]
    TooNew {
        /// The file.
        path: StorePath,
        /// Its version.
        found: u32,
        /// The newest version that can be read.
        supported: u32,
    },
    /// A file uses something of its format that is not read here.
    #[error("{path} uses {what} at byte {offset}, which cannot be read here")]
    Unreadable {
        /// The file.
        path: StorePath,
        /// Where in the file.
        offset: u64,
        /// What it uses.
        what: String,
    },
    /// A value that would do harm where its own language decodes it.
    #[error("{what} would run code when {decoder} unpickles it: {}", .globals.join(", "))]
    Harmful {
        /// The value.
        what: String,
        /// What would unpickle it, as `PyTorch`.
        decoder: &'static str,
        /// What it would look up and run, as `os.system`.
        globals: Vec<String>,
    },
    /// The format cannot express something.
    #[error("the format {format} cannot express {what}")]
    Unsupported {
        /// The format.
        format: &'static str,
        /// What it cannot express.
        what: String,
    },
    /// A store in which several ranks cannot write one object together.
    #[error(
        "{location} cannot take one file from several writers; save in a format of several files, and convert the checkpoint \
         where there is a file system"
    )]
    NotShared {
        /// The store.
        location: String,
    },
    /// A planner has no bytes for an item.
    #[error("no bytes to write for {fqn}: {source}")]
    NoSource {
        /// The tensor or value.
        fqn: dcp_types::Fqn,
        /// What the planner said.
        source: dcp_types::DataError,
    },
    /// The source of an item could not be read.
    #[error("cannot read what is to be written to {path}: {source}")]
    Source {
        /// The file that it was to be written to.
        path: StorePath,
        /// What the source said.
        source: dcp_types::DataError,
    },
    /// The source of an item has another size than was planned.
    #[error("a part of {path} should have {expected} bytes, but its source has {found}")]
    SourceLength {
        /// The file.
        path: StorePath,
        /// Bytes planned.
        expected: u64,
        /// Bytes that the source gave.
        found: u64,
    },
    /// The destination of an item could not be written.
    #[error("cannot store what was read for {fqn}: {source}")]
    Destination {
        /// The tensor or value.
        fqn: dcp_types::Fqn,
        /// What the destination said.
        source: dcp_types::DataError,
    },
    /// A store has fewer bytes than were given to it.
    #[error("{path} should have {expected} bytes, but the store has {found}")]
    LostWrite {
        /// The file.
        path: StorePath,
        /// Bytes written.
        expected: u64,
        /// Bytes stored.
        found: u64,
    },
    /// It could not be found out whether a save was committed. It is left as it is: look again later.
    #[error("it is unknown whether the save into {location} took effect ({source}); nothing was removed")]
    CommitUnknown {
        /// Where.
        location: String,
        /// Why it is unknown.
        source: Box<StorageError>,
    },
    /// Another process has taken up a resumable save that was under way here. What was written is its own now, and left to it.
    #[error("another process has taken over the save into {location}; it is left to that one")]
    TakenOver {
        /// Where.
        location: String,
    },
    /// A URL that is no place in any store.
    #[error("{url:?} is no place for a checkpoint: {reason}")]
    InvalidUrl {
        /// The URL as given.
        url: String,
        /// What is wrong with it, and what is right.
        reason: String,
    },
    /// There is no way into a store: its credentials or endpoint are missing, incomplete or of a kind that is not read.
    #[error("there is no access to {location}: {reason}")]
    NoAccess {
        /// The store.
        location: String,
        /// What is missing, and what to do.
        reason: String,
    },
    /// The store knows who asks, or does not, and says no.
    #[error("not allowed to {operation} {path} in {location}: {reason}")]
    Denied {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The store.
        location: String,
        /// The object, or the root.
        path: String,
        /// What the store said.
        reason: String,
    },
    /// A store that cannot decide and apply a condition in one step, so that two savers could not be kept apart.
    #[error("{location} cannot change {path} on a condition, which is what keeps two savers apart: {reason}")]
    NoConditions {
        /// The store.
        location: String,
        /// The object.
        path: StorePath,
        /// What the store said.
        reason: String,
    },
    /// A request that failed again and again, or had no answer.
    #[error("cannot {operation} {path} in {location}: gave up after {attempts} attempts in {elapsed:.1?}: {source}")]
    GaveUp {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The store.
        location: String,
        /// The object, or the root.
        path: String,
        /// How often.
        attempts: u32,
        /// For how long, from the first attempt to the last answer.
        elapsed: std::time::Duration,
        /// Why the last attempt failed.
        source: io::Error,
    },
    /// The medium reported an error.
    #[error("cannot {operation} {path} in {location}: {source}")]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The store.
        location: String,
        /// The object, or the root.
        path: String,
        /// What the medium said.
        source: io::Error,
    },
}

impl StorageError {
    /// An object that was to be [read whole](crate::Store::read_whole) has more bytes than whoever reads it takes.
    #[must_use]
    pub fn too_long(path: &StorePath, size: u64, longest: u64) -> Self {
        let reason = format!("it has {size} bytes, and what is read whole has at most {longest}");
        Self::Corrupt { path: path.clone(), offset: 0, reason }
    }

    /// A short, stable word for what went wrong, for programs and for other ranks.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not-found",
            Self::AlreadyExists { .. } => "already-exists",
            Self::PreconditionFailed { .. } => "precondition-failed",
            Self::OutOfRange { .. } => "out-of-range",
            Self::InvalidPath { .. } => "invalid-path",
            Self::NotAFile { .. } => "not-a-file",
            Self::NoCheckpoint { .. } => "no-checkpoint",
            Self::Unfinished { .. } => "unfinished",
            Self::Exists { .. } => "exists",
            Self::Overwritten { .. } => "overwritten",
            Self::Corrupt { .. } => "corrupt",
            Self::Damaged { .. } => "damaged",
            Self::Undecodable { .. } => "undecodable",
            Self::Unencodable { .. } => "unencodable",
            Self::BadValue { .. } => "bad-value",
            Self::TooNew { .. } => "too-new",
            Self::Unreadable { .. } => "unreadable",
            Self::Harmful { .. } => "harmful",
            Self::Unsupported { .. } => "unsupported",
            Self::NotShared { .. } => "not-shared",
            Self::NoSource { .. } => "no-source",
            Self::Source { .. } => "source",
            Self::SourceLength { .. } => "source-length",
            Self::Destination { .. } => "destination",
            Self::LostWrite { .. } => "lost-write",
            Self::CommitUnknown { .. } => "commit-unknown",
            Self::TakenOver { .. } => "taken-over",
            Self::InvalidUrl { .. } => "invalid-url",
            Self::NoAccess { .. } => "no-access",
            Self::Denied { .. } => "denied",
            Self::NoConditions { .. } => "no-conditions",
            Self::GaveUp { .. } => "gave-up",
            Self::Io { .. } => "io",
        }
    }

    /// The tensor or value that is at fault, if it is one.
    #[must_use]
    pub fn fqn(&self) -> Option<&dcp_types::Fqn> {
        match self {
            Self::Damaged { fqn, .. }
            | Self::Undecodable { fqn, .. }
            | Self::Destination { fqn, .. }
            | Self::NoSource { fqn, .. } => Some(fqn),
            _ => None,
        }
    }

    /// The object that is at fault, if it is one.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::NotFound { path, .. }
            | Self::AlreadyExists { path, .. }
            | Self::PreconditionFailed { path, .. }
            | Self::OutOfRange { path, .. }
            | Self::NotAFile { path, .. }
            | Self::Unfinished { found: path, .. }
            | Self::Overwritten { path, .. }
            | Self::Corrupt { path, .. }
            | Self::Damaged { path, .. }
            | Self::Undecodable { path, .. }
            | Self::Unencodable { path, .. }
            | Self::TooNew { path, .. }
            | Self::Unreadable { path, .. }
            | Self::Source { path, .. }
            | Self::SourceLength { path, .. }
            | Self::LostWrite { path, .. }
            | Self::NoConditions { path, .. } => Some(path.as_str()),
            Self::InvalidPath { path, .. }
            | Self::Denied { path, .. }
            | Self::GaveUp { path, .. }
            | Self::Io { path, .. } => Some(path),
            _ => None,
        }
    }

    /// Where in the object, in bytes.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::OutOfRange { offset, .. }
            | Self::Corrupt { offset, .. }
            | Self::Damaged { offset, .. }
            | Self::Undecodable { offset, .. }
            | Self::Unreadable { offset, .. } => Some(*offset),
            _ => None,
        }
    }

    /// Whether the checkpoint itself is at fault: it is corrupt, damaged or incomplete.
    #[must_use]
    pub fn is_bad_checkpoint(&self) -> bool {
        matches!(
            self,
            Self::Corrupt { .. }
                | Self::Damaged { .. }
                | Self::Undecodable { .. }
                | Self::BadValue { .. }
                | Self::Unfinished { .. }
                | Self::NotFound { .. }
                | Self::OutOfRange { .. }
                | Self::NotAFile { .. }
                | Self::InvalidPath { .. }
                | Self::TooNew { .. }
                | Self::Unreadable { .. }
                | Self::Harmful { .. }
        )
    }

    /// Whether the same call may succeed when it is made again later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::GaveUp { .. } => true,
            Self::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::Interrupted
                    | io::ErrorKind::TimedOut
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::ResourceBusy
            ),
            _ => false,
        }
    }
}
