//! What can be asked on the command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Look into, check, compare and try out distributed checkpoints.
#[derive(Debug, Parser)]
#[command(
    name = "dcpctl",
    version,
    after_help = "Exit status: 0 fine; 1 the checkpoint is bad, or two differ; 2 it could not be done."
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
    /// Compare two checkpoints, of whatever formats and meshes.
    Diff(Diff),
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

#[derive(Args, Debug)]
#[command(after_help = DIFF_HELP)]
pub(crate) struct Diff {
    /// A checkpoint: a directory, a file or a URL.
    #[arg(value_name = "A")]
    pub(crate) left: OsString,
    /// The other one, to which relative differences are relative.
    #[arg(value_name = "B")]
    pub(crate) right: OsString,
    /// Allow elements to differ by so much of what they are in B.
    #[arg(long, value_name = "R", default_value_t = 0.0)]
    pub(crate) rtol: f64,
    /// Allow elements to differ by so much.
    #[arg(long, value_name = "A", default_value_t = 0.0)]
    pub(crate) atol: f64,
    /// Take NaN for something else than NaN.
    #[arg(long)]
    pub(crate) nan_differs: bool,
    /// Compare only what has a name that matches (may be given several times).
    #[arg(long, value_name = "GLOB")]
    pub(crate) include: Vec<String>,
    /// Leave out what has a name that matches, included or not (may be given several times).
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Write JSON, for programs.
    #[arg(long)]
    pub(crate) json: bool,
    /// Write nothing: the exit status says it all.
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) quiet: bool,
}

const DIFF_HELP: &str = "\
Tensors are the same if they have one dtype and one shape, and each element of A is the same as that of B. The same bits are the same, \
and so are two NaNs. Other bits differ unless a tolerance is given (so 0.0 and -0.0 differ); with one, a and b are the same if

    |a - b| <= atol + rtol * |b|

as numpy.isclose has it: infinities are near nothing but themselves, and |z| of a complex number is its magnitude. Integers and bools are \
numbers, too. Of what differs the largest |a - b| and the largest |a - b| / |b| are told. Dtypes that cannot be converted to numbers are compared \
by their bits. How tensors are cut into chunks does not matter.

Numbers inside values follow the same rule. Sets have no order, dicts have one, and objects that cannot be expressed are compared by their bytes.

Globs are matched against whole names, as model.layers.0.weight. * stands for any characters, dots among them, ? for one, [ab] for one of \
these, {a,b} for one of these globs; a backslash takes the meaning from what follows it. A glob of --include that matches nothing is an error.

What cannot be read is told, and the rest is compared.

With --json the output is one object: left and right (objects with location and format), status (\"same\", \"different\" or \"unknown\"), tensors \
and values (how many were compared), bytes (of these tensors, of one side), read (of both), elapsed_s, differences and unreadable. A difference has fqn and \
kind: \"only-left\", \"only-right\"; with left and right, \"kind\", \"dtype\", \"shape\"; \"elements\", with differing, of, first (an index), max_abs and max_rel \
(null where there is no such number) and nan; \"value\", with path (the first place in it that differs, empty if that is all of it), and what is there on \
left and right, as inspect --json writes it. What is unreadable has fqn, side, kind and message.

Exit status: 0 the same; 1 different; 2 something could not be compared, whether or not the rest differs.";

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
