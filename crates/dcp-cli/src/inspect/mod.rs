//! What a checkpoint holds.

mod chunks;
mod digest;
mod json;
mod located;
mod short;
mod text;
mod value;
mod values;

pub(crate) use chunks::{count, walk};

use std::io::Write;

use dcp::{Checkpoint, Location, Verify};

use crate::args::Inspect;
use crate::failure::Failure;

/// Shows a checkpoint. Whatever is read of it is checked.
pub(crate) fn inspect(location: Location, args: &Inspect, out: &mut dyn Write) -> Result<(), Failure> {
    let checkpoint = Checkpoint::open(location)?.verify(Verify::All);
    if args.json { json::write(&checkpoint, args.digest, out) } else { text::write(&checkpoint, args.digest, out) }
}
