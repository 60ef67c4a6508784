//! `dcpctl convert`, and what it shares with `dcpctl reshard`.

mod interrupt;
mod progress;

use std::io::Write;
use std::path::Path;

use dcp::{Cancel, ConvertReport, Converter, Location, Opener};

use self::progress::Progress;
use crate::args::{Convert, Rewrite};
use crate::failure::Failure;
use crate::units::{bytes, count, printable, rate, time};

/// Source, destination, and what is known besides.
pub(crate) struct Rewriting<'a> {
    pub(crate) from: Location,
    pub(crate) to: Location,
    pub(crate) opener: &'a Opener,
    pub(crate) as_process: bool,
}

pub(crate) fn convert(rewriting: Rewriting<'_>, args: &Convert, out: &mut dyn Write) -> Result<(), Failure> {
    let Some(format) = format(&rewriting, &args.rewrite) else {
        let known = rewriting.opener.format_names().join(", ");
        return Err(Failure::Impossible(format!("the ending of DST tells no format; say one with --to ({known})")));
    };
    rewrite(Converter::new().to_named(format), rewriting, &args.rewrite, out)
}

/// The format that is asked for, or that the destination's ending tells.
pub(crate) fn format<'a>(rewriting: &Rewriting<'_>, args: &'a Rewrite) -> Option<&'a str> {
    args.to.as_deref().or_else(|| rewriting.opener.format_by_ending(Path::new(&args.destination)))
}

/// Converts with the options that both commands have.
pub(crate) fn rewrite(
    converter: Converter<'_>,
    Rewriting { from, to, opener, as_process }: Rewriting<'_>,
    args: &Rewrite,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let cancel = Cancel::new();
    if as_process && !args.dry_run {
        interrupt::on_signals(&cancel)?;
    }
    let progress = Progress::new(as_process && !args.quiet && !args.dry_run);
    let tell = |so_far| progress.tell(so_far);
    let mut converter = converter
        .opener(opener.clone())
        .jobs(args.jobs.into())
        .memory(args.memory)
        .salvage(args.salvage)
        .overwrite(args.force)
        .fsync(!args.no_fsync)
        .dry_run(args.dry_run)
        .cancel(cancel)
        .progress(&tell);
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
    let report = converter.convert(from, to);
    progress.end();
    print(&report?, args, out)
}

fn print(report: &ConvertReport, args: &Rewrite, out: &mut dyn Write) -> Result<(), Failure> {
    let ConvertReport { format, tensors, values, written, found, left_out, elapsed, .. } = report;
    let what = format!("{}, {}", count(*tensors, "tensor"), count(*values, "value"));
    let destination = args.destination.to_string_lossy();
    let destination = printable(&destination);
    if args.dry_run {
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
