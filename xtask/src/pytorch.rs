//! PyTorch itself, as a reader of what is saved in its format.

use std::ffi::OsString;

use crate::environment;
use crate::run::{Failure, Shell};

/// Which Python has it, if one is named.
const PYTHON: &str = "DCP_TORCH_PYTHON";

/// Runs the tests that need PyTorch, in an environment that is made for them unless a Python is named.
pub(crate) fn check(shell: &Shell) -> Result<(), Failure> {
    match python(shell) {
        Ok(python) => {
            let mut tests = shell.cargo(["test", "-p", "dcp-tests", "--test", "torch", "--", "--ignored", "pytorch::"]);
            tests.env(PYTHON, python);
            shell.run(tests)
        }
        Err(why) => {
            println!("\n*** There is no PyTorch, so that its tests are ignored: {why}");
            println!("*** {PYTHON} may name a Python that has it.\n");
            shell.run(shell.cargo(["test", "-p", "dcp-tests", "--test", "torch", "--", "pytorch::"]))?;
            Err(Failure::left_out(format!("there is no PyTorch: {why}")))
        }
    }
}

fn python(shell: &Shell) -> Result<OsString, Failure> {
    match std::env::var_os(PYTHON) {
        Some(python) => Ok(python),
        None => environment::python(shell).map(Into::into),
    }
}
