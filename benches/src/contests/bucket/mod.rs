//! What buckets cost: saving a state to S3 and loading it, beside the client library's own puts and gets of as many bytes.
//!
//! Contestants take turns, each in a process of its own, with the same size of parts and the same number of requests in flight:
//!
//! * *plain*: the limit. `object_store` puts parts out of memory that it need not copy, and gets ranges into memory that is there.
//! * *dcp*: a save and a load, with checksums, claim, index and commit.
//! * *boto3*: `torch.save` into memory and up; down into memory and `torch.load`.
//! * *s3torchconnector*: PyTorch's DCP through its writer and reader, which decide by themselves how many requests there are.
//!
//! The server works on the same cores, and keeps what it is given in memory: only ratios mean anything.

mod job;
mod ours;
mod plain;
mod server;
mod theirs;

use std::hint::black_box;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use self::job::{Job, PART, TENSORS, Task};
use self::server::{Server, Variables};
use self::theirs::{Theirs, Way};
use crate::Fault;
use crate::bench::Bench;
use crate::contestants::{DCP, PLAIN, Who, printed};
use crate::report::{Comparison, Goal, Row, Unit};
use crate::sizes::show;
use crate::turns::{Taken, Turns};
use crate::used::Used;

/// Where the bucket is.
#[derive(Args, Clone, Debug)]
pub(crate) struct Choice {
    /// The program `s3s-fs`, to be started with a temporary folder, for `bucket`.
    #[arg(long, value_name = "S3S_FS")]
    server: Option<PathBuf>,
    /// A place at a server that is there, for `bucket`: s3://bucket/prefix. The environment says how it is reached (AWS_*). What is written goes
    /// below `dcp-benchmark` there, which is removed.
    #[arg(long, conflicts_with = "server")]
    url: Option<String>,
}

/// A server.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Program(PathBuf),
    Url(String),
}

impl Choice {
    /// If there is any.
    pub(crate) fn place(&self) -> Option<Place> {
        self.server.clone().map(Place::Program).or_else(|| self.url.clone().map(Place::Url))
    }
}

/// What a process of its own does.
#[derive(Args, Clone, Debug)]
pub(crate) struct Child {
    who: Ours,
    task: Task,
    #[command(flatten)]
    job: Job,
}

/// Who is measured by this program itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Ours {
    Plain,
    Dcp,
}

impl Child {
    /// Does it; returns the time, and the memory beyond the state.
    pub(crate) fn run(&self) -> Result<Used, Fault> {
        match self.who {
            Ours::Plain => plain::run(self.task, &self.job),
            Ours::Dcp => ours::run(self.task, &self.job),
        }
    }
}

pub(crate) fn run(bench: &Bench) -> Result<Vec<Comparison>, Fault> {
    let place = bench.bucket.as_ref().ok_or("neither --server nor --url")?;
    let (_server, url, variables) = match place {
        Place::Program(program) => {
            let server = Server::start(program)?;
            let (url, variables) = (server.url(), server.variables());
            (Some(server), url, variables)
        }
        Place::Url(url) => (None, url.clone(), Variables::new()),
    };
    let contest = Contest { bench, url: format!("{}/dcp-benchmark", url.trim_end_matches('/')), variables };
    contest.run()
}

struct Contest<'a> {
    bench: &'a Bench,
    url: String,
    variables: Variables,
}

impl Contest<'_> {
    fn run(&self) -> Result<Vec<Comparison>, Fault> {
        let theirs = match &self.bench.python {
            Some(python) => Theirs::installed(python.clone().with(&self.variables), &self.url)?,
            None => Theirs::default(),
        };
        let bytes = self.job(DCP, 1).bytes();
        let contestants: Vec<Who> = [PLAIN, DCP].into_iter().chain(theirs.ways().map(|way| way.name())).collect();
        let what = format!("{} in {TENSORS} tensors and {} objects", show(bytes), threads());
        let mut rates = Comparison::new("bucket", what.clone(), Unit::GbPerSecond, &contestants);
        let mut memory =
            Comparison::new("bucket-memory", format!("{what}: memory beyond the state"), Unit::Mebibytes, &contestants);
        for (place, &in_flight) in self.bench.sizes.requests_in_flight.iter().enumerate() {
            // Those that decide for themselves take part once.
            let ways: Vec<_> = theirs.ways().filter(|way| way.is_told_how_many() || place == 0).collect();
            for task in [Task::Save, Task::Load] {
                let taken = self.take(&theirs, &ways, task, in_flight)?;
                let what = format!("{}, {in_flight} in flight", task.name());
                rates.push(Row::new(&what, taken.rates(bytes)), &[Goal::Times { of: DCP, than: PLAIN, at_least: 0.9 }]);
                let limit = documented(task, in_flight);
                memory.push(Row::new(&what, taken.mebibytes()), &[Goal::AtMost { of: DCP, limit }]);
            }
            plain::clear(&self.url, &self.variables)?;
        }
        Ok(vec![rates, memory])
    }

    /// What is saved last stays there to be loaded.
    fn take<'a>(&'a self, theirs: &'a Theirs, ways: &[Way], task: Task, in_flight: usize) -> Result<Taken<'a>, Fault> {
        let mut turns = Turns::new(self.bench.repeat);
        for who in [Ours::Plain, Ours::Dcp] {
            turns.add(who.name(), "", move || {
                let job = self.job(who.name(), in_flight);
                self.make_room(task, &job)?;
                self.this_program(who, task, &job)
            });
        }
        for &way in ways {
            turns.add_guest(way.name(), "", move || {
                let job = self.job(way.name(), in_flight);
                self.make_room(task, &job)?;
                theirs.run(way, task, &job)
            });
        }
        turns.take()
    }

    /// What has been saved before is removed. All find memory that was in use a moment ago: the state's, and twice as much at the server, which
    /// puts together what came in parts.
    fn make_room(&self, task: Task, job: &Job) -> Result<(), Fault> {
        if task == Task::Save {
            plain::clear(&job.url, &self.variables)?;
            put_to_use(3 * job.bytes());
        }
        Ok(())
    }

    fn this_program(&self, who: Ours, task: Task, job: &Job) -> Result<Used, Fault> {
        let mut child = self.bench.this_program();
        child.args(["bucket", who.name(), task.name()]).args(job.arguments()).envs(self.variables.iter().cloned());
        // More of them keep freed blocks, which would be counted.
        child.env("MALLOC_ARENA_MAX", "1");
        Used::parse(&printed(&mut child)?)
    }

    fn job(&self, who: Who, in_flight: usize) -> Job {
        Job::new(&format!("{}/{who}", self.url), self.bench.sizes.in_bucket, threads(), in_flight)
    }
}

/// Writes to every page of so much memory and gives it back: on a virtual machine that lends its free memory to its host, who comes next would
/// have to wait until it is there again, more or less by chance.
fn put_to_use(bytes: usize) {
    let mut memory = vec![0_u8; bytes];
    memory.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
    black_box(memory);
}

const PAGE: usize = 4 << 10;

impl Ours {
    fn name(self) -> Who {
        match self {
            Self::Plain => PLAIN,
            Self::Dcp => DCP,
        }
    }
}

/// The memory beyond the state that `Traffic` allows, in MiB, and the client's own: the parts on their way, and of each file that is being written
/// the part that is being gathered; of a load nothing but the engine's buffers for short runs, of which there are none here.
fn documented(task: Task, in_flight: usize) -> f64 {
    let parts = if task == Task::Save { in_flight + threads() } else { 0 };
    CLIENT + CONNECTION * in_flight as f64 + (parts * (PART >> 20)) as f64
}

/// In MiB.
const CLIENT: f64 = 10.0;
const CONNECTION: f64 = 0.5;

/// As many objects are written at a time.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).min(8)
}
