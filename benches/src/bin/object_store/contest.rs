//! What is measured, and the table of results.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::ValueEnum;
use dcp_benches::{Used, median};

/// Who is measured here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Contestant {
    Plain,
    Dcp,
}

impl Contestant {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => PLAIN,
            Self::Dcp => DCP,
        }
    }
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Task {
    Save,
    Load,
}

/// A state of equal tensors of float32, a place for it, and how it gets there.
pub(crate) struct Job {
    pub(crate) url: String,
    /// Of one tensor.
    pub(crate) elements: usize,
    /// How many objects.
    pub(crate) files: usize,
    /// How many requests at a time.
    pub(crate) in_flight: usize,
}

pub(crate) const TENSORS: usize = 64;
/// The bytes that a request carries.
pub(crate) const PART: usize = 8 << 20;

impl Job {
    pub(crate) fn new(url: &str, gib: f64, files: usize, in_flight: usize) -> Self {
        let elements = (gib * f64::from(1 << 30)) as usize / TENSORS / size_of::<f32>();
        Self { url: url.to_owned(), elements, files, in_flight }
    }

    pub(crate) fn bytes(&self) -> usize {
        TENSORS * self.elements * size_of::<f32>()
    }
}

/// What was used, by what was done, with how many requests in flight, by whom.
#[derive(Default)]
pub(crate) struct Table {
    used: BTreeMap<(Task, Option<usize>, &'static str), Vec<Used>>,
}

impl Table {
    pub(crate) fn add(&mut self, task: Task, in_flight: Option<usize>, contestant: &'static str, used: Used) {
        self.used.entry((task, in_flight, contestant)).or_default().push(used);
    }

    /// `bytes` is the size of the state, `at_once` how many of its objects are written at a time.
    pub(crate) fn print(&self, bytes: usize, at_once: usize) {
        println!(
            "{:<22}{:>9}{:>8}{:>10}{:>17}{:>12}",
            "", "in flight", "GB/s", "dcp/this", "MiB beyond state", "documented"
        );
        for (&(task, in_flight, contestant), used) in &self.used {
            let rate = bytes as f64 / 1e9 / seconds(used);
            // Who decides alone is compared with the best.
            let ours = self.used.iter().filter(|((a_task, number, name), _)| {
                (*a_task, *name) == (task, DCP) && (in_flight.is_none() || *number == in_flight)
            });
            let ours = ours.map(|(_, used)| seconds(used)).fold(f64::INFINITY, f64::min);
            let peak = used.iter().map(|used| used.bytes).max().unwrap_or_default() >> 20;
            let documented = match (contestant == DCP, in_flight) {
                (true, Some(in_flight)) => documented(task, in_flight, at_once).to_string(),
                _ => String::new(),
            };
            let shown = in_flight.map_or("its own".to_owned(), |number| number.to_string());
            println!(
                "{:<5}{contestant:<17}{shown:>9}{rate:>8.2}{:>10.2}{peak:>17}{documented:>12}",
                if task == Task::Save { "save" } else { "load" },
                seconds(used) / ours,
            );
        }
    }
}

fn seconds(used: &[Used]) -> f64 {
    let times: Vec<_> = used.iter().map(|used| Duration::from_secs_f64(used.seconds)).collect();
    median(&times)
}

/// The memory beyond the state that `Traffic` allows, in MiB: the parts on their way, and of each file that is being written the part that is
/// being gathered; of a load nothing but the engine's buffers for short runs, of which there are none here.
fn documented(task: Task, in_flight: usize, at_once: usize) -> usize {
    if task == Task::Save { (in_flight + at_once) * (PART >> 20) } else { 0 }
}

const PLAIN: &str = "plain";
const DCP: &str = "dcp";
