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
}
