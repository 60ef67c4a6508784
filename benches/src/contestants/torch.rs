//! PyTorch's DCP, on as many processes, by `torch_ranks.py`.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use super::{Python, Shape};
use crate::Fault;
use crate::used::Used;

/// Processes that hold a state, and save and load it when they are told; between their turns they sleep.
#[derive(Debug)]
pub(crate) struct TorchRanks {
    process: Child,
    /// Closed, it ends them.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// What they say on standard error.
    log: PathBuf,
}

impl TorchRanks {
    /// Starts them; waits until they have their state.
    pub(crate) fn start(python: &Python, ranks: usize, shape: Shape, dir: &Path) -> Result<Self, Fault> {
        fs::create_dir_all(dir)?;
        let log = dir.join("torch.log");
        let numbers = [ranks, shape.tensors, shape.rows, shape.columns].map(|number| number.to_string());
        let mut command = python.command("torch_ranks.py");
        command.args(numbers).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        let mut process = command.spawn()?;
        let orders = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().ok_or("no standard output")?);
        let mut this = Self { process, orders, answers, log };
        this.answer()?;
        Ok(this)
    }

    /// Saves the state by rows, on so many threads a process; memory is the sum of what ranks took beyond what they had.
    pub(crate) fn save(&mut self, to: &Path, threads: usize, fsync: bool) -> Result<Used, Fault> {
        self.order(&json!({"what": "save", "directory": to, "threads": threads, "fsync": fsync}))
    }

    /// Loads what was saved by rows (dimension 0), or as columns (1).
    pub(crate) fn load(&mut self, from: &Path, dim: usize) -> Result<Used, Fault> {
        self.order(&json!({"what": "load", "directory": from, "dim": dim}))
    }

    fn order(&mut self, order: &Value) -> Result<Used, Fault> {
        writeln!(self.orders.as_mut().ok_or("they have been ended")?, "{order}").map_err(|_| self.last_words())?;
        Used::parse(&self.answer()?)
    }

    fn answer(&mut self) -> Result<Vec<u8>, Fault> {
        let mut line = Vec::new();
        self.answers.read_until(b'\n', &mut line)?;
        if line.is_empty() { Err(self.last_words().into()) } else { Ok(line) }
    }

    fn last_words(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_else(|error| format!("{}: {error}", self.log.display()))
    }
}

impl Drop for TorchRanks {
    fn drop(&mut self) {
        self.orders = None;
        // There is nobody to tell, and nothing left to be read.
        drop(self.process.wait().and_then(|_| fs::remove_file(&self.log)));
    }
}
