//! PyTorch itself, and Lightning, as readers of what is saved in their formats.

use std::ffi::{OsStr, OsString};

use crate::environment;
use crate::run::{Failure, Shell};

/// Which Python has it, if one is named.
pub(crate) const PYTHON: &str = "DCP_TORCH_PYTHON";

/// Runs the tests that need PyTorch, and those that need Lightning, in an environment that is made for them unless a Python is named.
pub(crate) fn check(shell: &Shell) -> Result<(), Failure> {
    let python = match python(shell) {
        Ok(python) => python,
        Err(why) => {
            println!("\n*** There is no PyTorch, so that its tests are ignored: {why}");
            println!("*** {PYTHON} may name a Python that has it.\n");
            shell.run(shell.cargo(["test", "-p", "dcp-tests", "--test", "torch", "--", "pytorch::"]))?;
            return Err(Failure::left_out(format!("there is no PyTorch: {why}")));
        }
    };
    tests(shell, &python, "pytorch::")?;
    let mut lightning = shell.program(&python);
    lightning.args(["-c", "import lightning"]);
    if !shell.succeeds(lightning) {
        println!("left out: {} has no lightning", python.display());
        return Ok(());
    }
    tests(shell, &python, "lightning::")
}

/// Runs the ignored tests of a module.
fn tests(shell: &Shell, python: &OsStr, module: &str) -> Result<(), Failure> {
    let mut tests = shell.cargo(["test", "-p", "dcp-tests", "--test", "torch", "--", "--ignored", module]);
    tests.env(PYTHON, python);
    shell.run(tests)
}

/// The Python that is named, or one that is made.
pub(crate) fn python(shell: &Shell) -> Result<OsString, Failure> {
    match std::env::var_os(PYTHON) {
        Some(python) => Ok(python),
        None => environment::python(shell).map(Into::into),
    }
}
