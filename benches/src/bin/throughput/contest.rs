//! What is measured, and the table of results.

use std::collections::BTreeMap;
use std::time::Duration;

/// The state: equal tensors of float32.
pub(crate) struct Shape {
    pub(crate) tensors: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl Shape {
    pub(crate) fn new(mib: usize, tensors: usize) -> Self {
        let columns = 4096;
        Self { tensors, columns, rows: (mib << 20) / tensors / columns / 4 }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.tensors * self.rows * self.columns * 4
    }
}

/// What is done with the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Task {
    Save,
    Load,
    Reshard,
}

/// Times by task and contestant.
pub(crate) struct Table {
    ranks: usize,
    bytes: usize,
    times: BTreeMap<(Task, &'static str), Vec<Duration>>,
}

impl Table {
    pub(crate) fn new(ranks: usize, bytes: usize) -> Self {
        Self { ranks, bytes, times: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, task: Task, contestant: &'static str, time: Duration) {
        self.times.entry((task, contestant)).or_default().push(time);
    }

    fn rate(&self, task: Task, contestant: &'static str) -> Option<f64> {
        let mut times = self.times.get(&(task, contestant))?.clone();
        times.sort();
        Some(self.bytes as f64 / 1e9 / times.get(times.len() / 2)?.as_secs_f64())
    }

    pub(crate) fn print(&self) {
        println!("\n{} rank(s)          plain    dcp   torch   dcp/plain  dcp/torch", self.ranks);
        for (task, name) in [(Task::Save, "save"), (Task::Load, "load"), (Task::Reshard, "rows as columns")] {
            let [plain, ours, torch] = ["plain", "dcp", "torch"].map(|who| self.rate(task, who));
            let show = |rate: Option<f64>| rate.map_or("-".to_owned(), |rate| format!("{rate:.2}"));
            let ratio = |of: Option<f64>| match (ours, of) {
                (Some(ours), Some(of)) => format!("{:.2}", ours / of),
                _ => "-".to_owned(),
            };
            println!(
                "  {name:<17}{:>7}{:>7}{:>8}{:>12}{:>11}",
                show(plain),
                show(ours),
                show(torch),
                ratio(plain),
                ratio(torch)
            );
        }
    }
}
