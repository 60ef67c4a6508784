//! The reader of the native format in `docs/`, which shares no code with the other one.

use crate::run::{Failure, Shell};
use crate::tools;

const FIXTURE: &str = "crates/dcp-native/tests/fixtures/v1";

/// Reads the fixture with it, and compares what it prints with the digests that are kept there.
pub(crate) fn check(shell: &Shell) -> Result<(), Failure> {
    tools::need_python(shell)?;
    let mut python = shell.program("python3");
    python.args(["-B", "docs/read_native.py", FIXTURE]);
    let printed = shell.output(python)?;
    let list = shell.root().join(FIXTURE).join("tensors.sha256");
    let kept = std::fs::read_to_string(&list);
    let kept = kept.map_err(|error| Failure::new(format!("cannot read {}: {error}", list.display())))?;
    print!("{printed}");
    if printed == kept { Ok(()) } else { Err(Failure::new("docs/read_native.py finds other tensors in the fixture")) }
}
