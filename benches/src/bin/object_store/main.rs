//! What buckets cost: saving a state to S3 and loading it, beside the client library's own puts and gets of as many bytes.
//!
//! `cargo run --release -p dcp-benches --bin object_store -- --server S3S_FS [--torch PYTHON]`
//!
//! Contestants take turns, each in a process of its own, with the same size of parts and the same number of requests in flight:
//!
//! * *plain*: the limit. `object_store` puts parts out of memory that it need not copy, and gets ranges into memory that is there.
//! * *dcp*: a save and a load, with checksums, claim, index and commit.
//! * *boto3*: `torch.save` into memory and up; down into memory and `torch.load`.
//! * *s3torchconnector*: PyTorch's DCP through its writer and reader, which decide by themselves how many requests there are.
//!
//! The server works on the same cores: only ratios mean anything.
#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

mod contest;
mod ours;
mod plain;
mod server;
mod theirs;

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

use clap::{Parser, ValueEnum};
use dcp_benches::{Python, Used, printed};

use contest::{Contestant, Job, Table, Task};
use server::{Server, Variables};
use theirs::Theirs;

/// Measures saving to a bucket and loading from it.
#[derive(Debug, Parser)]
struct Args {
    /// The program `s3s-fs`, to be started with a temporary folder.
    #[arg(long, required_unless_present = "url")]
    server: Option<PathBuf>,
    /// A place at a server that is there: s3://bucket/prefix. The environment says how it is reached (AWS_*). What is written goes below
    /// `dcp-benchmark` there, which is removed.
    #[arg(long, conflicts_with = "server")]
    url: Option<String>,
    /// The size of the state.
    #[arg(long, default_value_t = 2.0)]
    gib: f64,
    /// How often each figure is measured.
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Numbers of requests in flight to measure.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 16])]
    in_flight: Vec<usize>,
    /// Into how many objects the state goes. A rank writes as many at a time as it has threads for it: one for each core, at most 8. Unless
    /// told it is this number, so that all are written at once, by every contestant.
    #[arg(long, default_value_t = threads())]
    files: usize,
    /// A Python interpreter with torch; and with boto3 and s3torchconnector, to measure them as well.
    #[arg(long)]
    torch: Option<PathBuf>,
    /// Does one thing, with the first number of `in_flight`, and prints the time and the memory.
    #[arg(long, hide = true, requires_all = ["url", "task"])]
    child: Option<Contestant>,
    #[arg(long, hide = true)]
    task: Option<Task>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    if let (Some(contestant), Some(task), Some(url)) = (args.child, args.task, &args.url) {
        let in_flight = *args.in_flight.first().ok_or("nothing in flight")?;
        let job = Job::new(url, args.gib, args.files, in_flight);
        let used = if contestant == Contestant::Plain { plain::run(task, &job)? } else { ours::run(task, &job)? };
        println!("{used}");
        return Ok(());
    }
    let server = args.server.as_deref().map(Server::start).transpose()?;
    let variables = server.as_ref().map(Server::variables).unwrap_or_default();
    let url = args.url.clone().or_else(|| server.as_ref().map(Server::url)).ok_or("neither --server nor --url")?;
    let url = format!("{}/dcp-benchmark", url.trim_end_matches('/'));
    let theirs = match &args.torch {
        Some(python) => Theirs::installed(Python::new(python.clone()).with(&variables), &url)?,
        None => Theirs::default(),
    };
    let mut table = Table::default();
    for _ in 0..args.repeat {
        for (place, &in_flight) in args.in_flight.iter().enumerate() {
            let job = Job::new(&url, args.gib, args.files, in_flight);
            for contestant in [Contestant::Plain, Contestant::Dcp] {
                for task in [Task::Save, Task::Load] {
                    let used = this_program(contestant, task, &job, &args, &variables)?;
                    table.add(task, Some(in_flight), contestant.name(), used);
                }
                plain::clear(&url, &variables)?;
            }
            // Those that decide for themselves take part once.
            for way in theirs.ways().filter(|way| way.is_told_how_many() || place == 0) {
                for task in [Task::Save, Task::Load] {
                    let used = theirs.run(way, task, &job)?;
                    table.add(task, way.is_told_how_many().then_some(in_flight), way.name(), used);
                }
                plain::clear(&url, &variables)?;
            }
        }
    }
    let (gib, files, repeat) = (args.gib, args.files, args.repeat);
    println!("{gib} GiB in {} tensors and {files} objects, median of {repeat} runs", contest::TENSORS);
    table.print(Job::new(&url, gib, files, 1).bytes(), files.min(threads()));
    Ok(())
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).min(8)
}

/// A contestant of this program, in a process of its own.
fn this_program(
    contestant: Contestant,
    task: Task,
    job: &Job,
    args: &Args,
    variables: &Variables,
) -> Result<Used, Box<dyn Error>> {
    let mut child = Command::new(std::env::current_exe()?);
    let name = |value: Option<clap::builder::PossibleValue>| {
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    };
    child.args(["--child", &name(contestant.to_possible_value()), "--task", &name(task.to_possible_value())]);
    child.args(["--url", &job.url, "--gib", &args.gib.to_string(), "--files", &job.files.to_string()]);
    child.args(["--in-flight", &job.in_flight.to_string()]).envs(variables.iter().cloned());
    Used::parse(&printed(&mut child)?)
}
