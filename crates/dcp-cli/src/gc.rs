//! `dcpctl gc`.

use std::io::Write;
use std::time::SystemTime;

use dcp::{Cleaner, Cleaning, Kept, Leftover, LeftoverKind, Location, Opener};
use serde_json::json;

use crate::args::Gc;
use crate::columns::{Align, Columns};
use crate::failure::Failure;
use crate::units::{self, printable};

pub(crate) fn gc(location: Location, opener: &Opener, args: &Gc, out: &mut dyn Write) -> Result<(), Failure> {
    if let Some(path) = location.path() {
        // A store that is not there yet is one without objects.
        path.metadata().map_err(|error| Failure::path("list", path, &error))?;
    }
    let cleaner = Cleaner::new().opener(opener.clone()).no_save_running(args.no_save_running);
    let cleaning = if args.yes { cleaner.remove(location) } else { cleaner.find(location) }?;
    if args.json { json(&cleaning, args, out) } else { text(&cleaning, args, out) }?;
    let stayed = cleaning.found.iter().find_map(|left| match &left.kept {
        Some(Kept::Failed(error)) => Some((left, error)),
        _ => None,
    });
    match (stayed, cleaning.failed.first()) {
        (Some((left, error)), _) => Err(Failure::Impossible(format!("cannot remove {}: {error}", left.path))),
        (None, Some((name, error))) if name.is_empty() => Err(Failure::Impossible(error.to_string())),
        (None, Some((name, error))) => Err(Failure::Impossible(format!("{name}: {error}"))),
        (None, None) => Ok(()),
    }
}

fn text(cleaning: &Cleaning, args: &Gc, out: &mut dyn Write) -> Result<(), Failure> {
    let rows: Vec<_> = cleaning.found.iter().map(|left| row(left, args.yes)).collect();
    Columns::new([Align::Left, Align::Right, Align::Left, Align::Left]).write_all(out, 0, &rows)?;
    for (name, error) in &cleaning.failed {
        let place = if name.is_empty() { &cleaning.location } else { name };
        writeln!(out, "{}: not looked into: {}", printable(place), printable(&error.to_string()))?;
    }
    let (gone, stays): (Vec<_>, Vec<_>) = cleaning.found.iter().partition(|left| left.kept.is_none());
    let told = |left: &[&Leftover]| {
        let size = left.iter().filter_map(|left| left.bytes).sum();
        format!("{}, {}", units::count(left.len() as u64, "object"), units::bytes(size))
    };
    let (verb, hint) = match (args.yes, gone.is_empty()) {
        (true, _) => ("removed", ""),
        (false, true) => ("to remove", ""),
        (false, false) => ("to remove", "; nothing was removed: give --yes for that"),
    };
    writeln!(out, "{verb}: {}; kept: {}{hint}", told(&gone), told(&stays))?;
    Ok(())
}

fn row(left: &Leftover, is_done: bool) -> Vec<String> {
    let size = left.bytes.map_or_else(|| "-".to_owned(), units::bytes);
    let what = match &left.kept {
        None if is_done => "removed".to_owned(),
        None => "to remove".to_owned(),
        Some(Kept::Until(time)) => format!("kept: its save may be alive for {}", units::long_time(from_now(*time))),
        Some(Kept::Failed(error)) => format!("kept: {error}"),
        Some(_) => "kept: somebody may be writing it".to_owned(),
    };
    vec![kind(left).to_owned(), size, printable(left.path.as_str()).into_owned(), printable(&what).into_owned()]
}

/// One line for each object.
fn json(cleaning: &Cleaning, args: &Gc, out: &mut dyn Write) -> Result<(), Failure> {
    for left in &cleaning.found {
        let state = match (&left.kept, args.yes) {
            (Some(_), _) => "kept",
            (None, true) => "removed",
            (None, false) => "to-remove",
        };
        let (until, error) = match &left.kept {
            Some(Kept::Until(time)) => {
                (time.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs()), None)
            }
            Some(Kept::Failed(error)) => (None, Some(error.to_string())),
            _ => (None, None),
        };
        let line = json!({
            "name": left.path.as_str(),
            "kind": kind(left),
            "bytes": left.bytes,
            "state": state,
            "until": until,
            "error": error,
        });
        writeln!(out, "{line}")?;
    }
    for (name, error) in &cleaning.failed {
        writeln!(
            out,
            "{}",
            json!({ "name": name, "kind": "directory", "state": "failed", "error": error.to_string() })
        )?;
    }
    Ok(())
}

fn kind(left: &Leftover) -> &'static str {
    match left.kind {
        LeftoverKind::Data => "data",
        LeftoverKind::Upload => "upload",
        LeftoverKind::Companion => "companion",
        _ => "claim",
    }
}

fn from_now(time: SystemTime) -> std::time::Duration {
    time.duration_since(SystemTime::now()).unwrap_or_default()
}
