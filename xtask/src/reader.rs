//! The reader of the native format in `docs/`, which shares no code with the other one.

use crate::run::{Failure, Shell};
use crate::tools;

const FIXTURES: &str = "crates/dcp-native/tests/fixtures";

/// Reads the fixtures with it, and compares what it prints with what is kept there.
pub(crate) fn check(shell: &Shell) -> Result<(), Failure> {
    tools::need_python(shell)?;
    for version in ["v1", "v2", "v3", "v4"] {
        agrees(shell, &[], version, "tensors.sha256")?;
    }
    agrees(shell, &["--values"], "v1-values", "values.txt")
}

fn agrees(shell: &Shell, options: &[&str], fixture: &str, kept: &str) -> Result<(), Failure> {
    let fixture = format!("{FIXTURES}/{fixture}");
    let mut python = shell.program("python3");
    python.args(["-B", "docs/read_native.py"]).args(options).arg(&fixture);
    let printed = shell.output(python)?;
    let list = shell.root().join(&fixture).join(kept);
    let kept = std::fs::read_to_string(&list);
    let kept = kept.map_err(|error| Failure::new(format!("cannot read {}: {error}", list.display())))?;
    print!("{printed}");
    if printed == kept {
        Ok(())
    } else {
        Err(Failure::new(format!("docs/read_native.py finds something else in {fixture}")))
    }
}
