//! `dcpctl convert`, and what it shares with `dcpctl reshard` and `dcpctl consolidate`.

mod interrupt;
mod progress;

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;

use dcp::{Cancel, ConvertReport, Converter, LightningForm, Location, Opener};

use self::progress::Progress;
use crate::args::{Rewrite, Writing};
use crate::failure::Failure;
use crate::units::{bytes, count, printable, rate, time};

/// Source, destination, and what is known besides.
pub(crate) struct Rewriting<'a> {
    pub(crate) from: Location,
    pub(crate) to: Location,
    /// The destination as it was named.
    pub(crate) destination: &'a OsStr,
    pub(crate) opener: &'a Opener,
    pub(crate) as_process: bool,
}

pub(crate) fn convert(rewriting: Rewriting<'_>, args: &Rewrite, out: &mut dyn Write) -> Result<(), Failure> {
    let Some(format) = format(&rewriting, args) else {
        let known = rewriting.opener.format_names().join(", ");
        return Err(Failure::Impossible(format!("the ending of DST tells no format; say one with --to ({known})")));
    };
    rewrite(Converter::new().to_named(format), rewriting, args, out)
}

/// The format that is asked for, or that the destination's ending tells.
pub(crate) fn format<'a>(rewriting: &Rewriting<'_>, args: &'a Rewrite) -> Option<&'a str> {
    args.to.as_deref().or_else(|| rewriting.opener.format_by_ending(Path::new(&args.destination)))
}

/// Converts with the options that convert and reshard have.
pub(crate) fn rewrite(
    mut converter: Converter<'_>,
    rewriting: Rewriting<'_>,
    args: &Rewrite,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    converter = converter.jobs(args.jobs.into());
    for pattern in &args.include {
        converter = converter.include(pattern)?;
    }
    for pattern in &args.exclude {
        converter = converter.exclude(pattern)?;
    }
    for (old, new) in &args.rename {
        converter = converter.rename(old, new);
    }
    if let Some(dtype) = args.dtype {
        converter = converter.dtype(dtype);
    }
    write(converter, rewriting, &args.writing, out)
}

/// Converts with the options that all have.
pub(crate) fn write(
    converter: Converter<'_>,
    Rewriting { from, to, destination, opener, as_process }: Rewriting<'_>,
    args: &Writing,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let cancel = Cancel::new();
    if as_process && !args.dry_run {
        interrupt::on_signals(&cancel)?;
    }
    let progress = Progress::new(as_process && !args.quiet && !args.dry_run);
    let tell = |so_far| progress.tell(so_far);
    let converter = converter
        .opener(opener.clone())
        .memory(args.memory)
        .salvage(args.salvage)
        .overwrite(args.force)
        .fsync(!args.no_fsync)
        .dry_run(args.dry_run)
        .cancel(cancel)
        .progress(&tell);
    let report = converter.convert(from, to);
    progress.end();
    print(&report?, destination, args.dry_run, out)
}

fn print(report: &ConvertReport, destination: &OsStr, is_dry_run: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let ConvertReport { tensors, values, written, found, left_out, elapsed, .. } = report;
    let what = format!("{}, {}", count(*tensors, "tensor"), count(*values, "value"));
    let destination = destination.to_string_lossy();
    let (destination, format) = (printable(&destination), format_of(report));
    if is_dry_run {
        writeln!(out, "would write {what}, {} of tensors, to {destination} ({format})", bytes(report.bytes))?;
    } else {
        let files = count(written.files, "file");
        let data = written.data.saturating_sub(found.data);
        let (size, time, rate) = (bytes(written.written), time(*elapsed), rate(data, *elapsed));
        writeln!(out, "wrote {what}, {size} in {files}, to {destination} ({format}) in {time}, {rate}")?;
        if found.files > 0 {
            writeln!(out, "{} of {files} were there already, from a conversion that was interrupted", found.files)?;
        }
    }
    if *left_out > 0 {
        writeln!(out, "left out what the index describes wrongly: {}; see dcpctl verify", count(*left_out, "finding"))?;
    }
    Ok(())
}

/// The format of what was written, and how the state in it is arranged.
fn format_of(report: &ConvertReport) -> String {
    let arranged = match report.form {
        Some(LightningForm::Trainer) => ", for the Trainer",
        _ => "",
    };
    format!("{}{arranged}", report.format)
}
