//! PyTorch itself, as a reader of what is saved in its format.

use crate::run::{Failure, Shell};

/// Which Python has it.
const PYTHON: &str = "DCP_TORCH_PYTHON";

/// Runs the tests that need PyTorch, if there is one.
pub(crate) fn check(shell: &Shell) -> Result<(), Failure> {
    if std::env::var_os(PYTHON).is_none() {
        println!("left out: {PYTHON} does not name a Python with PyTorch");
        return Ok(());
    }
    shell.run(shell.cargo(["test", "-p", "dcp-tests", "--test", "torch", "--", "--ignored", "pytorch"]))
}
