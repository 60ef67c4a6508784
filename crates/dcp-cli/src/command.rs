//! The command as a function.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use dcp::{Error, Format, Location, Store};

use crate::args::{Arguments, Command, Convert};
use crate::convert::Rewriting;
use crate::failure::Failure;
use crate::{bench, consolidate, convert, demo, diff, gc, inspect, ls, reshard, verify};

/// The command `dcpctl`, with the URL schemes that it knows.
#[derive(Default)]
pub struct Dcpctl {
    schemes: BTreeMap<String, Box<Opener>>,
    opener: dcp::Opener,
    as_process: bool,
}

/// Makes the store that a URL names.
pub type Opener = dyn Fn(&str) -> Result<Arc<dyn Store>, Error> + Send + Sync;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Fine: exit status 0.
    Fine,
    /// The checkpoint is bad, or two differ: exit status 1.
    Bad,
    /// It could not be done, because of its arguments, a missing path or I/O: exit status 2.
    Impossible,
    /// It was stopped by SIGINT or SIGTERM: exit status 130.
    Interrupted,
}

impl Dcpctl {
    /// The command that knows what the facade crate knows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more URL scheme, as `vendor` for `vendor://...`; `open` is given the whole URL.
    #[must_use]
    pub fn scheme(
        mut self,
        scheme: impl Into<String>,
        open: impl Fn(&str) -> Result<Arc<dyn Store>, Error> + Send + Sync + 'static,
    ) -> Self {
        self.schemes.insert(scheme.into(), Box::new(open));
        self
    }

    /// The same with one more format, or with a known one that has transforms of the caller's own.
    #[must_use]
    pub fn format(mut self, format: impl Format + 'static) -> Self {
        self.opener = self.opener.format(format);
        self
    }

    /// Whether this is what the process is there for (it is not unless told): progress is then written to the standard error of the process, and
    /// SIGINT and SIGTERM end a conversion after it has removed what it wrote.
    #[must_use]
    pub fn as_process(mut self, as_process: bool) -> Self {
        self.as_process = as_process;
        self
    }

    /// Does what the arguments say, the first of which is the command's own name. What it finds goes to `out`; if it does not
    /// end well, one line that says why goes to `err` (for bad usage, several).
    ///
    /// When nobody reads `out` any more it stops quietly.
    pub fn run(
        &self,
        args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> Status {
        let done = match Arguments::try_parse_from(args) {
            Ok(args) => Run { dcpctl: self, args: &args }.obey(out),
            Err(answer) if answer.use_stderr() => {
                // Nobody can be told if standard error is gone.
                drop(write!(err, "{answer}"));
                return Status::Impossible;
            }
            Err(help) => write!(out, "{help}").map(|()| Status::Fine).map_err(Failure::Output),
        };
        let flushed = done.and_then(|status| out.flush().map(|()| status).map_err(Failure::Output));
        match flushed {
            Ok(status) => status,
            Err(failure) if failure.is_closed_output() => Status::Fine,
            Err(failure) => {
                drop(writeln!(err, "dcpctl: {}", failure.line()));
                failure.status()
            }
        }
    }
}

/// A command that is being carried out.
struct Run<'a> {
    dcpctl: &'a Dcpctl,
    args: &'a Arguments,
}

impl<'a> Run<'a> {
    fn obey(&self, out: &mut dyn Write) -> Result<Status, Failure> {
        let (fine, opener) = (|()| Status::Fine, &self.dcpctl.opener);
        match &self.args.command {
            Command::Demo(args) => demo::demo(args, out).map(fine),
            Command::Inspect(args) => inspect::inspect(self.location(&args.checkpoint)?, opener, args, out).map(fine),
            Command::Ls(args) => ls::ls(self.location(&args.place)?, opener, args, out).map(fine),
            Command::Gc(args) => gc::gc(self.location(&args.place)?, opener, args, out).map(fine),
            Command::Verify(args) => verify::verify(self.location(&args.checkpoint)?, opener, args, out).map(fine),
            Command::Bench(args) => bench::bench(args, |place| self.location(place), out).map(fine),
            Command::Diff(args) => {
                diff::diff([self.location(&args.left)?, self.location(&args.right)?], opener, args, out)
            }
            Command::Convert(Convert { rewrite }) => {
                convert::convert(self.rewriting(&rewrite.source, &rewrite.destination)?, rewrite, out).map(fine)
            }
            Command::Reshard(args) => {
                let rewriting = self.rewriting(&args.rewrite.source, &args.rewrite.destination)?;
                reshard::reshard(rewriting, args, out).map(fine)
            }
            Command::Consolidate(args) => {
                let output = consolidate::output(args)?;
                consolidate::consolidate(self.rewriting(&args.checkpoint, &output)?, args, out).map(fine)
            }
        }
    }

    /// What writing a checkpoint anew starts from.
    fn rewriting<'b>(&self, source: &OsStr, destination: &'b OsStr) -> Result<Rewriting<'b>, Failure>
    where
        'a: 'b,
    {
        // Stores of one URL cannot be told to be the same.
        let is_same_url = match (source.to_str(), destination.to_str()) {
            (Some(one), Some(other)) => one.contains("://") && one.trim_end_matches('/') == other.trim_end_matches('/'),
            _ => false,
        };
        if source == destination || is_same_url {
            let location = destination.to_string_lossy().into_owned();
            return Err(Error::SamePlace { location }.into());
        }
        let (from, to) = (self.location(source)?, self.location(destination)?);
        Ok(Rewriting { from, to, destination, opener: &self.dcpctl.opener, as_process: self.dcpctl.as_process })
    }

    /// The place that an argument names.
    fn location(&self, place: &OsStr) -> Result<Location, Failure> {
        let Some((url, (scheme, _))) = place.to_str().and_then(|text| Some((text, text.split_once("://")?))) else {
            return Ok(PathBuf::from(place).into());
        };
        match self.dcpctl.schemes.get(scheme) {
            Some(open) => Ok(open(url)?.into()),
            None => Ok(self.reached(url.into())),
        }
    }

    #[cfg(feature = "s3")]
    fn reached(&self, location: Location) -> Location {
        location.access(self.args.buckets.access())
    }

    #[cfg(not(feature = "s3"))]
    fn reached(&self, location: Location) -> Location {
        location
    }
}

impl Status {
    /// The exit status of the process.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Bad => 1,
            Self::Impossible => 2,
            Self::Interrupted => 130,
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        status.code().into()
    }
}

impl fmt::Debug for Dcpctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dcpctl").field("schemes", &self.schemes.keys()).field("as_process", &self.as_process).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn usage_goes_where_it_belongs() {
        let run = |args: &[&str]| {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let status = Dcpctl::new().run(args, &mut out, &mut err);
            (status, out.is_empty(), err.is_empty())
        };
        assert_eq!(run(&["dcpctl", "--help"]), (Status::Fine, false, true));
        assert_eq!(run(&["dcpctl", "--version"]), (Status::Fine, false, true));
        for bad in [&["dcpctl"][..], &["dcpctl", "frobnicate"], &["dcpctl", "inspect"], &["dcpctl", "inspect", "--x"]] {
            assert_eq!(run(bad), (Status::Impossible, true, false), "{bad:?}");
        }
        assert_eq!(run(&["dcpctl", "inspect", "gopher://x"]), (Status::Impossible, true, false));
    }

    /// An output that fails.
    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_output_is_no_error() {
        for (kind, expected) in
            [(io::ErrorKind::BrokenPipe, Status::Fine), (io::ErrorKind::StorageFull, Status::Impossible)]
        {
            let mut err = Vec::new();
            let status = Dcpctl::new().run(["dcpctl", "--help"], &mut Broken(kind), &mut err);
            assert_eq!((status, err.is_empty()), (expected, expected == Status::Fine));
        }
    }
}
