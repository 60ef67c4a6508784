//! The command `dcpctl`.

use std::io::{self, BufWriter};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    // Standard error is not locked: progress is written to it from other threads.
    dcp_cli::Dcpctl::new().as_process(true).run(std::env::args_os(), &mut out, &mut io::stderr()).into()
}
