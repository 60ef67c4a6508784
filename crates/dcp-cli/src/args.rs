//! What can be asked on the command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Look into, check and try out distributed checkpoints.
#[derive(Debug, Parser)]
#[command(
    name = "dcpctl",
    version,
    after_help = "Exit status: 0 fine; 1 the checkpoint is bad; 2 it could not be done."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Save a model from 8 ranks, load it on 3 and on 2 x 3, check every byte, and find a flipped bit.
    Demo(Demo),
    /// Show what a checkpoint holds.
    Inspect(Inspect),
    /// Find out whether a checkpoint is whole and sound.
    Verify(Verify),
}

#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// The model: a safetensors file (a small transformer with Adam state is generated without one).
    #[arg(long, value_name = "FILE.safetensors")]
    pub(crate) model: Option<PathBuf>,
    /// Keep the checkpoint in this directory, which must be new or empty.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// The checkpoint: a directory or a URL.
    #[arg(value_name = "CKPT")]
    pub(crate) checkpoint: OsString,
    /// Write JSON, for programs.
    #[arg(long)]
    pub(crate) json: bool,
    /// Read every tensor, check it, and give the SHA-256 of its row-major little-endian bytes.
    #[arg(long)]
    pub(crate) digest: bool,
    /// Show what there is even if the index describes some tensors in a way that cannot be right; these are listed as well.
    #[arg(long)]
    pub(crate) salvage: bool,
}

#[derive(Args, Debug)]
#[command(after_help = VERIFY_HELP)]
pub(crate) struct Verify {
    /// The checkpoint: a directory or a URL; or a directory of checkpoints.
    #[arg(value_name = "CKPT")]
    pub(crate) checkpoint: OsString,
    /// Read the index, headers and tables of checksums only, to find out that everything is there.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Read from the medium, not from what the system has in memory. For directories, on Linux.
    #[arg(long)]
    pub(crate) cold: bool,
    /// Write JSON, for programs: a line for each checkpoint.
    #[arg(long)]
    pub(crate) json: bool,
}

const VERIFY_HELP: &str = "\
Every byte of tensors and values is read once and compared with its checksum, if it has one. All that is wrong is listed, with \
file and offset.

If CKPT is a directory that is no checkpoint, every checkpoint directly in it is verified, step-9 before step-10. What \
holds nothing like a checkpoint is passed over.

With --json each checkpoint is one line, an object: location, status (\"good\", \"bad\" or \"unknown\"), format, tensors, values, \
chunks, files, bytes (of tensors and values), read, checked, unchecked, share_checked (0 to 1), quick, cold, \
elapsed_s, problems (objects with fqn, offsets and sizes of the chunk, file, offset, kind, message), unlisted (chunks of \
tensors with very many problems), and opaque (values that would run code when PyTorch unpickles them: fqn, globals). What cannot \
be looked at has location, status and error.

Exit status: 0 good; 1 at least one checkpoint is bad; 2 none is known to be bad, but not everything could be looked at.";
