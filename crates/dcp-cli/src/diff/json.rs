//! A comparison for programs. Values are read again when their turn comes, so that only one pair is held.

use std::io::Write;

use dcp::{Checkpoint, Comparison, Difference, Elements, Mismatch, Outcome, Side, Unreadable, Value as Plain};
use serde_json::{Value, json};

use super::{at, values};
use crate::failure::Failure;
use crate::inspect::Json;

/// Writes a comparison as one object, a difference a line.
pub(super) fn write(comparison: &Comparison, sides: &[Checkpoint; 2], out: &mut dyn Write) -> Result<(), Failure> {
    let status = match comparison.outcome() {
        Outcome::Same => "same",
        Outcome::Different => "different",
        Outcome::Unknown => "unknown",
    };
    let side =
        |number: usize| json!({ "location": comparison.locations[number], "format": comparison.formats[number] });
    for (name, value) in [
        ("left", side(0)),
        ("right", side(1)),
        ("status", status.into()),
        ("tensors", comparison.tensors.into()),
        ("values", comparison.values.into()),
        ("bytes", comparison.bytes.into()),
        ("read", comparison.read.into()),
        ("elapsed_s", comparison.elapsed.as_secs_f64().into()),
    ] {
        let opening = if name == "left" { "{" } else { ", " };
        write!(out, "{opening}\"{name}\": {value}")?;
    }
    let differences = comparison.differences.iter().map(|difference| described(difference, sides));
    list("differences", differences, out)?;
    list("unreadable", comparison.unreadable.iter().map(unreadable), out)?;
    Ok(writeln!(out, "}}")?)
}

fn list(name: &str, items: impl Iterator<Item = Value>, out: &mut dyn Write) -> Result<(), Failure> {
    write!(out, ", \"{name}\": [")?;
    for (number, item) in items.enumerate() {
        write!(out, "{}{item}", if number == 0 { "\n" } else { ",\n" })?;
    }
    Ok(write!(out, "]")?)
}

fn described(difference: &Difference, sides: &[Checkpoint; 2]) -> Value {
    let fqn = difference.fqn.as_str();
    let both =
        |kind: &str, left: Value, right: Value| json!({ "fqn": fqn, "kind": kind, "left": left, "right": right });
    match &difference.mismatch {
        Mismatch::OnlyIn(side) => json!({ "fqn": fqn, "kind": format!("only-{side}") }),
        Mismatch::ValueIn(Side::Left) => both("kind", "value".into(), "tensor".into()),
        Mismatch::ValueIn(Side::Right) => both("kind", "tensor".into(), "value".into()),
        Mismatch::DType([left, right]) => both("dtype", left.name().into(), right.name().into()),
        Mismatch::Shape([left, right]) => both("shape", left.dims().into(), right.dims().into()),
        Mismatch::Elements(found) => elements(fqn, found),
        Mismatch::Value(place) => {
            let [left, right] = values(sides, fqn).map(|value| match &value {
                Ok(value) => at(value, place).map(tagged).unwrap_or_default(),
                Err(error) => json!({ "error": error }),
            });
            json!({ "fqn": fqn, "kind": "value", "path": place.to_string(), "left": left, "right": right })
        }
        _ => json!({ "fqn": fqn, "kind": "unknown" }),
    }
}

fn elements(fqn: &str, found: &Elements) -> Value {
    let Elements { differing, of, first, max_abs, max_rel, nan, .. } = found;
    let number = |number: &Option<f64>| number.map(|number| tagged(&Plain::Float(number)));
    json!({
        "fqn": fqn,
        "kind": "elements",
        "differing": differing,
        "of": of,
        "first": first,
        "max_abs": number(max_abs),
        "max_rel": number(max_rel),
        "nan": nan,
    })
}

fn unreadable(one: &Unreadable) -> Value {
    let fqn = one.fqn.as_ref().map(|fqn| fqn.as_str());
    json!({ "fqn": fqn, "side": one.side.to_string(), "kind": one.kind, "message": one.message })
}

/// A value as `inspect` writes it.
fn tagged(value: &Plain) -> Value {
    serde_json::to_value(Json::new(value)).unwrap_or_default()
}
