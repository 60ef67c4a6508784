//! What a checkpoint holds.

mod digest;
mod json;
mod located;
mod short;
mod text;
mod trouble;
mod value;
mod values;

pub(crate) use short::short;
pub(crate) use value::Json;

use std::io::Write;

use dcp::{Location, Opener, Verify};

use crate::args::Inspect;
use crate::failure::Failure;

/// Shows a checkpoint. Whatever is read of it is checked. Of entries that are bad it says so, and goes on.
pub(crate) fn inspect(location: Location, opener: &Opener, args: &Inspect, out: &mut dyn Write) -> Result<(), Failure> {
    let checkpoint = if args.salvage { opener.salvage(location)? } else { opener.open(location)? };
    let checkpoint = checkpoint.verify(Verify::All);
    if args.json { json::write(&checkpoint, args.digest, out) } else { text::write(&checkpoint, args.digest, out) }
}
