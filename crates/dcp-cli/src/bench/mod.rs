//! What saving and loading cost on this machine.

mod io;
mod peak;
mod phases;
mod plan;

use std::ffi::OsStr;
use std::io::Write;

use dcp::Location;

use crate::args::Bench;
use crate::failure::Failure;

/// Measures what is asked for.
pub(crate) fn bench(
    bench: &Bench,
    location: impl Fn(&OsStr) -> Result<Location, Failure>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match bench {
        Bench::Plan(args) => plan::plan(args, out),
        Bench::Io(args) => io::io(&location(&args.place)?, args, out),
    }
}
