//! Everything that is measured, by the program `bench` of `benches/`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::run::{Failure, Shell};
use crate::{features, pytorch, servers};

/// All of it takes less.
const LIMIT: Duration = Duration::from_secs(2 * 60 * 60);
/// Where the documentation has its figures.
const DOCUMENTED: &str = "docs/benchmarks";

/// What is measured, and where.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Small sizes, once, without PyTorch unless it is named: a look that takes minutes.
    #[arg(long)]
    quick: bool,
    /// Measure this alone (may be given several times; see docs/benchmarks.md).
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// How often each figure is measured (3 times; quickly, once).
    #[arg(long, value_name = "N")]
    repeat: Option<u16>,
    /// Where the files go that are saved and loaded; a temporary directory unless told.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// A Python interpreter with torch (also DCP_TORCH_PYTHON; an environment is made unless one is named).
    #[arg(long, value_name = "PYTHON")]
    torch: Option<PathBuf>,
    /// Put the results into the documentation.
    #[arg(long)]
    docs: bool,
}

/// Builds the program, finds what it compares with, and runs it.
pub(crate) fn run(shell: &Shell, options: &Options) -> Result<(), Failure> {
    // Together, so that what they share is built once.
    shell.run(shell.cargo(["build", "--release", "--quiet", "--package", "dcp-benches", "--package", "dcp-cli"]))?;
    let target = features::metadata(shell)?["target_directory"].as_str().map(PathBuf::from);
    let target = target.ok_or_else(|| Failure::new("cargo does not say where it builds"))?;

    let mut bench = shell.program(target.join("release/bench"));
    bench.arg("--out").arg(if options.docs { shell.root().join(DOCUMENTED) } else { target.join("bench") });
    bench.args(options.quick.then_some("--quick"));
    bench.args(options.only.iter().flat_map(|name| ["--only", name]));
    bench.args(options.repeat.iter().flat_map(|repeat| ["--repeat".to_owned(), repeat.to_string()]));
    if let Some(dir) = &options.dir {
        bench.arg("--dir").arg(absolute(dir)?);
    }
    if let Some(python) = options.python(shell)? {
        bench.arg("--torch").arg(python);
    }
    if let Some(server) = options.server(shell) {
        bench.arg("--server").arg(server);
    }
    shell.run_within(bench, LIMIT)
}

impl Options {
    /// The Python that is named, or else, where there is time, one that is made.
    fn python(&self, shell: &Shell) -> Result<Option<PathBuf>, Failure> {
        if let Some(python) = &self.torch {
            return absolute(python).map(Some);
        }
        if self.quick && std::env::var_os(pytorch::PYTHON).is_none() {
            return Ok(None);
        }
        let python = pytorch::python(shell).map(PathBuf::from);
        Ok(python.inspect_err(|why| println!("there is no PyTorch: {why}")).ok())
    }

    /// A server for buckets, where there is time and somebody wants it.
    fn server(&self, shell: &Shell) -> Option<PathBuf> {
        let is_wanted = if self.only.is_empty() { !self.quick } else { self.only.iter().any(|name| name == "bucket") };
        let server = is_wanted.then(|| servers::s3_program(shell))?;
        server.inspect_err(|why| println!("there is no S3 server: {why}")).ok()
    }
}

/// As seen from where the command was given.
fn absolute(path: &std::path::Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| crate::cache::cannot("find", path, &error))
}
