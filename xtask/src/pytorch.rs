//! PyTorch itself, and Lightning, as readers of what is saved in their formats.

use crate::run::{Failure, Shell};

/// Which Python has it.
const PYTHON: &str = "DCP_TORCH_PYTHON";

/// Runs the tests that need PyTorch, if there is one, and those that need Lightning, if it is there as well.
pub(crate) fn check(shell: &Shell) -> Result<(), Failure> {
    let Some(python) = std::env::var_os(PYTHON) else {
        println!("left out: {PYTHON} does not name a Python with PyTorch");
        return Ok(());
    };
    tests(shell, "pytorch")?;
    let mut lightning = shell.program(&python);
    lightning.args(["-c", "import lightning"]);
    if !shell.succeeds(lightning) {
        println!("left out: {} has no lightning", python.display());
        return Ok(());
    }
    tests(shell, "lightning")
}

/// Runs the ignored tests of a module.
fn tests(shell: &Shell, module: &str) -> Result<(), Failure> {
    shell.run(shell.cargo(["test", "-p", "dcp-tests", "--test", "torch", "--", "--ignored", module]))
}
