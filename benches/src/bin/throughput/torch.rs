//! PyTorch's DCP, on as many processes, by `torch_dcp.py`.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::contest::{Shape, Table, Task};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/torch_dcp.py");

pub(crate) fn run(
    python: &Path,
    dir: &Path,
    shape: &Shape,
    ranks: usize,
    table: &mut Table,
) -> Result<(), Box<dyn Error>> {
    let numbers = [ranks, shape.tensors, shape.rows, shape.columns].map(|number| number.to_string());
    let output = Command::new(python).arg(SCRIPT).arg(dir.join("torch")).args(numbers).output()?;
    if !output.status.success() {
        return Err(format!("{}: {}", python.display(), String::from_utf8_lossy(&output.stderr)).into());
    }
    let seconds: [f64; 3] = serde_json::from_slice(&output.stdout)?;
    for (task, seconds) in [Task::Save, Task::Load, Task::Reshard].into_iter().zip(seconds) {
        table.add(task, "torch", Duration::from_secs_f64(seconds));
    }
    Ok(())
}
