//! In what two checkpoints differ.

mod json;
mod text;

use std::io::Write;

use dcp::crates::dcp_types::{Segment, StatePath};
use dcp::{Checkpoint, Comparer, Comparison, Location, Opener, Outcome, Value};

use crate::Status;
use crate::args::Diff;
use crate::failure::Failure;
use crate::units;

/// Compares two checkpoints.
pub(crate) fn diff(
    [left, right]: [Location; 2],
    opener: &Opener,
    args: &Diff,
    out: &mut dyn Write,
) -> Result<Status, Failure> {
    let mut comparer = Comparer::new().rtol(args.rtol)?.atol(args.atol)?.equal_nan(!args.nan_differs);
    for pattern in &args.include {
        comparer = comparer.include(pattern)?;
    }
    for pattern in &args.exclude {
        comparer = comparer.exclude(pattern)?;
    }
    let sides = [open("A", left, opener)?, open("B", right, opener)?];
    let comparison = comparer.compare_open(&sides[0], &sides[1])?;
    if !args.quiet {
        let written =
            if args.json { json::write(&comparison, &sides, out) } else { text::write(&comparison, &sides, out) };
        match written.and_then(|()| out.flush().map_err(Failure::Output)) {
            // What they are does not depend on who reads it.
            Err(failure) if failure.is_closed_output() => {}
            written => written?,
        }
    }
    match comparison.outcome() {
        Outcome::Same => Ok(Status::Fine),
        Outcome::Different => Ok(Status::Bad),
        Outcome::Unknown => Err(Failure::Impossible(trouble(&comparison))),
    }
}

/// Opens one of them. A checkpoint that is bad is one that cannot be compared.
fn open(name: &str, location: Location, opener: &Opener) -> Result<Checkpoint, Failure> {
    let failed =
        |error| Failure::Impossible(format!("{name} cannot be compared: {}", Failure::Checkpoint(error).line()));
    opener.salvage(location).map_err(failed)
}

fn trouble(comparison: &Comparison) -> String {
    let first = comparison.unreadable.first().map_or_else(String::new, text::unreadable);
    let problems = units::count(comparison.unreadable.len() as u64, "problem");
    format!("not everything could be compared: {problems}, the first: {first}")
}

/// What is at a place in a value. Types are no steps.
fn at<'v>(mut value: &'v Value, place: &StatePath) -> Option<&'v Value> {
    for step in place.segments() {
        value = match (step, value.plain()) {
            (Segment::Key(key), Value::Dict(items)) => {
                items.iter().find(|(found, _)| found == key).map(|(_, item)| item)?
            }
            (Segment::Item(number), Value::List(items)) | (Segment::TupleItem(number), Value::Tuple(items)) => {
                items.get(usize::try_from(*number).ok()?)?
            }
            _ => return None,
        };
    }
    Some(value)
}

/// A value of both sides, or why it cannot be read any more.
fn values(sides: &[Checkpoint; 2], fqn: &str) -> [Result<Value, String>; 2] {
    [&sides[0], &sides[1]].map(|side| side.value(fqn).map_err(|error| error.to_string()))
}
