//! An audit for programs: one line.

use std::io::Write;

use dcp::{Audit, Defect, Verdict};
use serde_json::{Value, json};

use crate::args::Verify;
use crate::failure::Failure;

/// Writes an audit.
pub(super) fn write(audit: &Audit, args: &Verify, out: &mut dyn Write) -> Result<(), Failure> {
    let opaque = audit.foreign.iter().map(|foreign| {
        let globals: Vec<&str> = foreign.globals.iter().map(AsRef::as_ref).collect();
        json!({ "fqn": foreign.fqn.as_str(), "globals": globals })
    });
    let line = json!({
        "location": audit.location,
        "status": match audit.verdict() {
            Verdict::Sound => "good",
            Verdict::Bad => "bad",
            Verdict::Unknown => "unknown",
        },
        "format": audit.format,
        "tensors": audit.tensors,
        "values": audit.values,
        "chunks": audit.chunks,
        "files": audit.files,
        "bytes": audit.bytes,
        "read": audit.read,
        "checked": audit.checked,
        "unchecked": audit.unchecked(),
        "share_checked": audit.share_checked(),
        "quick": args.quick,
        "cold": args.cold,
        "elapsed_s": audit.elapsed.as_secs_f64(),
        "problems": audit.defects.iter().map(problem).collect::<Vec<_>>(),
        "unlisted": audit.unlisted,
        "opaque": opaque.collect::<Vec<_>>(),
    });
    Ok(writeln!(out, "{line}")?)
}

/// A checkpoint that could not be looked at.
pub(super) fn unknown(place: &str, error: &Failure, out: &mut dyn Write) -> Result<(), Failure> {
    Ok(writeln!(out, "{}", json!({ "location": place, "status": "unknown", "error": error.line() }))?)
}

fn problem(defect: &Defect) -> Value {
    json!({
        "fqn": defect.fqn.as_ref().map(|fqn| fqn.as_str()),
        "offsets": defect.region.as_ref().map(|region| region.offsets()),
        "sizes": defect.region.as_ref().map(|region| region.sizes()),
        "file": defect.file,
        "offset": defect.offset,
        "kind": defect.kind,
        "message": defect.message,
    })
}
