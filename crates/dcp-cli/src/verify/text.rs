//! An audit for people.

use std::io::Write;

use dcp::{Audit, Defect, Verdict};

use crate::failure::Failure;
use crate::units::{self, printable};

/// A line for each problem, then the summary.
pub(super) fn write(audit: &Audit, out: &mut dyn Write) -> Result<(), Failure> {
    for defect in &audit.defects {
        writeln!(out, "{}", printable(&line(defect)))?;
    }
    if audit.unlisted > 0 {
        let chunks = units::count(audit.unlisted, "chunk");
        writeln!(out, "{chunks} more of tensors with so many problems may be bad as well")?;
    }
    for foreign in &audit.foreign {
        let globals = foreign.globals.join(", ");
        let text = format!("{}: would run code when PyTorch unpickles it: {globals}", foreign.fqn);
        writeln!(out, "{}", printable(&text))?;
    }
    let verdict = match audit.verdict() {
        Verdict::Sound => "good",
        Verdict::Bad => "BAD",
        Verdict::Unknown => "unknown",
    };
    writeln!(out, "{}: {verdict}", printable(&audit.location))?;
    writeln!(
        out,
        "  {} of {} and {} in {}; {}, {:.1} % of them checked; {}; {} read in {}, {}",
        units::count(audit.tensors, "tensor"),
        units::count(audit.chunks, "chunk"),
        units::count(audit.values, "value"),
        units::count(audit.files, "file"),
        units::bytes(audit.bytes),
        percent(audit),
        units::count(audit.defects.len() as u64, "problem"),
        units::bytes(audit.read),
        units::time(audit.elapsed),
        units::rate(audit.read, audit.elapsed),
    )?;
    Ok(())
}

/// A checkpoint that could not be looked at.
pub(super) fn unknown(place: &str, error: &Failure, out: &mut dyn Write) -> Result<(), Failure> {
    Ok(writeln!(out, "{}: unknown\n  {}", printable(place), error.line())?)
}

/// A problem in one line: name, file, offset, what.
pub(super) fn line(defect: &Defect) -> String {
    let mut line = String::new();
    if let Some(fqn) = &defect.fqn {
        line += &format!("{fqn}");
    }
    if let Some(region) = &defect.region {
        line += &format!(" {region}");
    }
    if let Some(file) = &defect.file {
        line += if line.is_empty() { "" } else { " in " };
        line += file;
    }
    if let Some(offset) = defect.offset {
        line += &format!(" at byte {offset}");
    }
    if line.is_empty() { defect.message.clone() } else { format!("{line}: {}", defect.message) }
}

/// Which share was checked. Only what was checked whole is 100 %.
fn percent(audit: &Audit) -> f64 {
    let percent = 100.0 * audit.share_checked();
    if audit.unchecked() > 0 { percent.min(99.9) } else { percent }
}
