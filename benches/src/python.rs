//! PyTorch, by the scripts beside this package, and programs that tell what they needed.

use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A Python that has PyTorch.
#[derive(Debug)]
pub struct Python {
    interpreter: PathBuf,
    variables: Vec<(&'static str, String)>,
}

impl Python {
    /// The interpreter at a path.
    #[must_use]
    pub fn new(interpreter: PathBuf) -> Self {
        Self { interpreter, variables: Vec::new() }
    }

    /// The same, with these variables in its environment.
    #[must_use]
    pub fn with(mut self, variables: &[(&'static str, String)]) -> Self {
        self.variables.extend_from_slice(variables);
        self
    }

    /// Runs a command of a script; returns what it prints.
    ///
    /// # Errors
    /// What it says on standard error.
    pub fn run(&self, script: &str, command: &str, dir: &Path, numbers: &[usize]) -> Result<Vec<u8>, Box<dyn Error>> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
        let numbers = numbers.iter().map(usize::to_string);
        let mut python = Command::new(&self.interpreter);
        python.envs(self.variables.iter().cloned()).arg(script).arg(command).arg(dir).args(numbers);
        printed(&mut python)
    }
}

/// Runs a program; returns what it prints.
///
/// # Errors
/// What it says on standard error.
pub fn printed(command: &mut Command) -> Result<Vec<u8>, Box<dyn Error>> {
    let program = command.get_program().to_owned();
    let output = command.output().map_err(|error| format!("{}: {error}", Path::new(&program).display()))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let program = OsStr::to_string_lossy(&program);
    Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr)).into())
}
