//! A comparison for people.

use std::io::Write;

use dcp::crates::dcp_types::StatePath;
use dcp::{Checkpoint, Comparison, Difference, Elements, Mismatch, Outcome, Shape, Side, Unreadable};

use super::{at, values};
use crate::failure::Failure;
use crate::inspect::short;
use crate::units::{self, printable};

/// About how many characters of a value are shown.
const VALUE: usize = 60;

/// A line for each difference and for what could not be compared, then the summary.
pub(super) fn write(comparison: &Comparison, sides: &[Checkpoint; 2], out: &mut dyn Write) -> Result<(), Failure> {
    for difference in &comparison.differences {
        let line = format!("{}: {}", difference.fqn, described(difference, sides));
        writeln!(out, "{}", printable(&line))?;
    }
    for one in &comparison.unreadable {
        writeln!(out, "{}", printable(&unreadable(one)))?;
    }
    let outcome = match comparison.outcome() {
        Outcome::Same => "the same",
        Outcome::Different => "different",
        Outcome::Unknown => "not compared in full",
    };
    let [left, right] = &comparison.locations;
    let [left_format, right_format] = comparison.formats;
    let places = format!("A {left} ({left_format}) and B {right} ({right_format}): {outcome}");
    writeln!(out, "{}", printable(&places))?;
    writeln!(
        out,
        "  {} of {} and {} compared; {}, {} not compared; {} read in {}, {}",
        units::count(comparison.tensors, "tensor"),
        units::bytes(comparison.bytes),
        units::count(comparison.values, "value"),
        units::count(comparison.differences.len() as u64, "difference"),
        units::grouped(comparison.unreadable.len() as u64),
        units::bytes(comparison.read),
        units::time(comparison.elapsed),
        units::rate(comparison.read, comparison.elapsed),
    )?;
    Ok(())
}

/// What could not be compared, in one line.
pub(super) fn unreadable(one: &Unreadable) -> String {
    let fqn = one.fqn.as_ref().map_or("?", |fqn| fqn.as_str());
    format!("{fqn}: cannot be read in {}: {}", name(one.side), one.message)
}

fn name(side: Side) -> &'static str {
    match side {
        Side::Left => "A",
        Side::Right => "B",
    }
}

fn described(difference: &Difference, sides: &[Checkpoint; 2]) -> String {
    match &difference.mismatch {
        Mismatch::OnlyIn(side) => format!("only in {}", name(*side)),
        Mismatch::ValueIn(Side::Left) => "a value in A, a tensor in B".into(),
        Mismatch::ValueIn(Side::Right) => "a tensor in A, a value in B".into(),
        Mismatch::DType([left, right]) => format!("{left} in A, {right} in B"),
        Mismatch::Shape([left, right]) => format!("{} in A, {} in B", shape(left), shape(right)),
        Mismatch::Elements(found) => elements(found),
        Mismatch::Value(place) => value(difference.fqn.as_str(), place, sides),
        _ => "differs".into(),
    }
}

fn shape(shape: &Shape) -> String {
    list(shape.dims())
}

fn list(numbers: &[u64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    format!("[{}]", numbers.join(", "))
}

fn elements(found: &Elements) -> String {
    let Elements { differing, of, first, max_abs, max_rel, nan, .. } = found;
    let (differing, of) = (units::grouped(*differing), units::count(*of, "element"));
    let mut line = format!("{differing} of {of} differ, the first at {}", list(first));
    match (max_abs, max_rel) {
        (Some(0.0), _) => line += ", all numbers are equal (zeros of other sign)",
        (Some(abs), Some(rel)) => line += &format!(", by at most {abs:?} (relative {rel:?})"),
        _ => {}
    }
    if *nan > 0 {
        line += &format!(", {} with NaN", units::grouped(*nan));
    }
    line
}

fn value(fqn: &str, place: &StatePath, sides: &[Checkpoint; 2]) -> String {
    let [left, right] = values(sides, fqn).map(|value| match value {
        Ok(value) => at(&value, place).map_or_else(|| "?".into(), |value| short(value, VALUE)),
        Err(error) => error,
    });
    let place = if place.segments().is_empty() { String::new() } else { format!("at {place} ") };
    format!("{place}{left} in A, {right} in B")
}
