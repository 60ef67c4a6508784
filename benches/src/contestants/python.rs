//! PyTorch, by the scripts beside this package, and programs that tell what they needed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Fault;

/// A Python that has PyTorch.
#[derive(Clone, Debug)]
pub(crate) struct Python {
    interpreter: PathBuf,
    variables: Vec<(&'static str, String)>,
}

impl Python {
    /// The interpreter at a path.
    pub(crate) fn new(interpreter: PathBuf) -> Self {
        Self { interpreter, variables: Vec::new() }
    }

    /// The same, with these variables in its environment.
    #[cfg(feature = "s3")]
    pub(crate) fn with(mut self, variables: &[(&'static str, String)]) -> Self {
        self.variables.extend_from_slice(variables);
        self
    }

    /// Of PyTorch.
    pub(crate) fn version(&self) -> Result<String, Fault> {
        let mut python = Command::new(&self.interpreter);
        let version = printed(python.args(["-c", "import torch; print(torch.__version__)"]))?;
        Ok(String::from_utf8(version)?.trim().to_owned())
    }

    /// Runs a command of a script; returns what it prints.
    pub(crate) fn run(&self, script: &str, command: &str, dir: &Path, numbers: &[usize]) -> Result<Vec<u8>, Fault> {
        let numbers = numbers.iter().map(usize::to_string);
        printed(self.command(script).arg(command).arg(dir).args(numbers))
    }

    /// To start a script.
    pub(crate) fn command(&self, script: &str) -> Command {
        let mut python = Command::new(&self.interpreter);
        python.envs(self.variables.iter().cloned()).arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(script));
        python
    }
}

/// Runs a program; returns what it prints. An error is what it says on standard error.
pub(crate) fn printed(command: &mut Command) -> Result<Vec<u8>, Fault> {
    let program = command.get_program().to_owned();
    let output = command.output().map_err(|error| format!("{}: {error}", Path::new(&program).display()))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let program = OsStr::to_string_lossy(&program);
    Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr)).into())
}
