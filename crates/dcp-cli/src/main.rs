//! The command `dcpctl`.

use std::io::{self, BufWriter};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    dcp_cli::Dcpctl::new().run(std::env::args_os(), &mut out, &mut io::stderr().lock()).into()
}
