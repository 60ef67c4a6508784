//! What can be asked on the command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::reshard::{mesh, placement};

/// Look into, check, compare, convert and try out distributed checkpoints.
#[derive(Debug, Parser)]
#[command(
    name = "dcpctl",
    version,
    after_help = concat!(
        "Wherever a directory or file is named, a URL may stand: s3://bucket/prefix, gs://bucket/prefix, az://container/prefix. Credentials and the rest ",
        "come from the environment, as for the clouds' own programs (AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, GOOGLE_..., AZURE_...). ",
        "To be read, a name with an ending, as model.pt, is an object if the bucket has one of this name; else it is a directory, as what ends with / is in any case.\n\n",
        "Exit status: 0 fine; 1 the checkpoint is bad, or two differ; 2 it could not be done; 130 interrupted."
    )
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[cfg(feature = "s3")]
    #[command(flatten)]
    pub(crate) buckets: Buckets,
}

/// How buckets are reached, beyond what the environment says.
#[cfg(feature = "s3")]
#[derive(Args, Debug)]
#[command(next_help_heading = "Options for URLs s3://, gs://, az://")]
pub(crate) struct Buckets {
    /// The server to ask instead of the cloud's own, as http://localhost:9000 (also AWS_ENDPOINT_URL).
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) endpoint_url: Option<String>,
    /// Send no credentials, for buckets that everybody may read.
    #[arg(long, global = true)]
    pub(crate) no_sign_request: bool,
    /// The profile in the files of the AWS command line (also AWS_PROFILE).
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
}

#[cfg(feature = "s3")]
impl Buckets {
    pub(crate) fn access(&self) -> dcp::Access {
        let mut access = dcp::Access::default().skip_signature(self.no_sign_request);
        if let Some(url) = &self.endpoint_url {
            access = access.endpoint_url(url);
        }
        if let Some(profile) = &self.profile {
            access = access.profile(profile);
        }
        access
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Save a model from 8 ranks, load it on 3 and on 2 x 3, check every byte, and find a flipped bit.
    Demo(Demo),
    /// Show what a checkpoint holds.
    Inspect(Inspect),
    /// List the checkpoints below a directory or URL.
    Ls(Ls),
    /// Find out whether a checkpoint is whole and sound.
    Verify(Verify),
    /// Compare two checkpoints, of whatever formats and meshes.
    Diff(Diff),
    /// Write a checkpoint anew: in another format, in part, with other names or dtypes.
    Convert(Convert),
    /// Write a checkpoint anew as the ranks of another mesh would have saved it.
    Reshard(Reshard),
    /// Show what saves have left that came to no end, and remove it.
    Gc(Gc),
    /// Make of a checkpoint of several files the one file that Lightning (Fabric, the Trainer) or `torch.load` loads.
    Consolidate(Consolidate),
    /// Measure what saving and loading cost on this machine.
    #[command(subcommand)]
    Bench(Bench),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Plan a save by many ranks and a load, all ranks in one process. No data is written.
    Plan(BenchPlan),
    /// Write and read some bytes at a place, plainly and as a checkpoint.
    Io(BenchIo),
}

#[derive(Args, Debug)]
#[command(after_help = BENCH_PLAN_HELP)]
pub(crate) struct BenchPlan {
    /// How many ranks save.
    #[arg(long, value_name = "R", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub(crate) ranks: u32,
    /// How many tensors they save.
    #[arg(long, value_name = "T", default_value_t = 1000)]
    pub(crate) tensors: usize,
    /// Let each rank name the regions that it has, without a mesh.
    #[arg(long)]
    pub(crate) explicit: bool,
    /// How many ranks load (three quarters of R unless told). One of them is looked at.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub(crate) load_ranks: Option<u32>,
    /// Write JSON, for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = BENCH_IO_HELP)]
pub(crate) struct BenchIo {
    /// Where: a directory or a URL. Below it everything goes under a new name, and is removed again.
    #[arg(value_name = "PLACE")]
    pub(crate) place: OsString,
    /// How much to write and read at a time, as 256M or 4G. It takes as much memory.
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = crate::units::parse_bytes)]
    pub(crate) bytes: u64,
    /// How many objects to write or read at once.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: u16,
    /// How often; the medians are told.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=99))]
    pub(crate) repeat: u16,
    /// Write JSON, for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

const BENCH_IO_HELP: &str = "\
In turns: objects are put and got plainly, streamed and by ranges, through the same store as checkpoints are; and the same bytes are saved as a checkpoint of the native format \
and loaded, with checksums compared and without. (Saves always take checksums.) What is put or saved is durable when the time is taken; what is got or loaded may come out of \
the memory of the system.

With --json the output is one object: location, bytes, jobs, repeat, lines (objects with name, seconds, bytes, gb_per_s: 10^9 bytes), save_ratio (the speed of a save as a share of that of \
plain puts), load_ratio, load_unchecked_ratio, peak_bytes (of the process; null where the system does not tell).

What was written is removed also after an error. If the process is killed, what is left is in PLACE under a name that starts with dcpctl-bench-.";

impl BenchPlan {
    pub(crate) fn load_ranks(&self) -> u32 {
        self.load_ranks.unwrap_or((self.ranks / 4 * 3).max(1))
    }
}

const BENCH_PLAN_HELP: &str = "\
Each rank does what it would on its own, and the coordinator hears and plans as it would; what ranks do at the same time where each has a machine is done here one rank after \
the other, on as many cores as there are. The phases: local plans (of all ranks: states are flattened and declared), exchange (digests of all, each distinct declaration once, the plan), \
global plan, layouts (all ranks lay out their files), index written, index read, load plan (of one rank that loads rows of each tensor).

With --json the output is one object: ranks, tensors, explicit, shards (parts of tensors that all ranks have), phases (objects with name and seconds), save_seconds (all \
phases of a save), open_seconds, load_plan_seconds, index_bytes, plan_bytes (what a rank is sent of the plan, at most), peak_bytes (of the process; null where the system does not tell).";

#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// The model: a safetensors file (a small transformer with Adam state is generated without one).
    #[arg(long, value_name = "FILE.safetensors")]
    pub(crate) model: Option<PathBuf>,
    /// Keep the checkpoint in this directory, which must be new or empty.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// The checkpoint: a directory or a URL.
    #[arg(value_name = "CKPT")]
    pub(crate) checkpoint: OsString,
    /// Write JSON, for programs.
    #[arg(long)]
    pub(crate) json: bool,
    /// Read every tensor, check it, and give the SHA-256 of its row-major little-endian bytes.
    #[arg(long)]
    pub(crate) digest: bool,
    /// Show what there is even if the index describes some tensors in a way that cannot be right; these are listed as well.
    #[arg(long)]
    pub(crate) salvage: bool,
}

#[derive(Args, Debug)]
#[command(after_help = LS_HELP)]
pub(crate) struct Ls {
    /// Where to look: a directory or a URL.
    #[arg(value_name = "PLACE")]
    pub(crate) place: OsString,
    /// Write JSON, for programs: a line for each checkpoint.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = VERIFY_HELP)]
pub(crate) struct Verify {
    /// The checkpoint: a directory or a URL; or a directory of checkpoints.
    #[arg(value_name = "CKPT")]
    pub(crate) checkpoint: OsString,
    /// Read the index, headers and tables of checksums only, to find out that everything is there.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Read from the medium, not from what the system has in memory. For directories, on Linux.
    #[arg(long)]
    pub(crate) cold: bool,
    /// Write JSON, for programs: a line for each checkpoint.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = CONVERT_HELP)]
pub(crate) struct Convert {
    #[command(flatten)]
    pub(crate) rewrite: Rewrite,
}

#[derive(Args, Debug)]
#[command(after_help = RESHARD_HELP)]
pub(crate) struct Reshard {
    #[command(flatten)]
    pub(crate) rewrite: Rewrite,
    /// A mesh of one dimension with so many ranks.
    #[arg(long, value_name = "N", required_unless_present = "mesh", conflicts_with = "mesh", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) ranks: Option<u32>,
    /// The mesh: names and sizes of its dimensions, as dp=2,tp=4.
    #[arg(long, value_name = "NAME=N,...", value_parser = mesh::parse)]
    pub(crate) mesh: Option<dcp::DeviceMesh>,
    /// How tensors whose names match lie, one placement for each mesh dimension, as '*.bias=replicate,shard(0)'. Of several that match, the
    /// first counts.
    #[arg(long = "placement", value_name = "GLOB=PLACEMENT,...", value_parser = placement::parse_rule)]
    pub(crate) placements: Vec<placement::Rule>,
}

#[derive(Args, Debug)]
#[command(after_help = CONSOLIDATE_HELP)]
pub(crate) struct Consolidate {
    /// The checkpoint: a directory or a URL. It is only read.
    #[arg(value_name = "DIR")]
    pub(crate) checkpoint: OsString,
    /// The file to write (DIR.consolidated unless told).
    #[arg(long, short, value_name = "OUT")]
    pub(crate) output: Option<OsString>,
    /// For which part of Lightning (told from what is in DIR unless given).
    #[arg(long, value_name = "FORM")]
    pub(crate) form: Option<Form>,
    #[command(flatten)]
    pub(crate) writing: Writing,
}

/// How Lightning arranges a state.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Form {
    /// As `Fabric.load` wants it: as it is.
    Fabric,
    /// As `Trainer.fit(ckpt_path=...)` wants it: the model at `state_dict`, the optimizers in the list `optimizer_states`.
    Trainer,
}

/// What converting and resharding have in common.
#[derive(Args, Debug)]
pub(crate) struct Rewrite {
    /// The checkpoint: a directory, a file or a URL. It is only read.
    #[arg(value_name = "SRC")]
    pub(crate) source: OsString,
    /// Where the new one is to be: a directory, a file or a URL.
    #[arg(value_name = "DST")]
    pub(crate) destination: OsString,
    /// The format to write: native, dcp (PyTorch's, a directory), torch-save or pt (PyTorch's, a file).
    #[arg(long, value_name = "FORMAT")]
    pub(crate) to: Option<String>,
    /// Take only what has a name that matches (may be given several times).
    #[arg(long, value_name = "GLOB")]
    pub(crate) include: Vec<String>,
    /// Leave out what has a name that matches, included or not (may be given several times).
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Call NEW what is called OLD, and NEW.x what is called OLD.x (may be given several times).
    #[arg(long, value_name = "OLD=NEW", value_parser = parse_rename)]
    pub(crate) rename: Vec<(String, String)>,
    /// Convert floating-point tensors to this dtype, as bfloat16.
    #[arg(long, value_name = "DTYPE")]
    pub(crate) dtype: Option<dcp::DType>,
    /// How many files to work on at a time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: u16,
    #[command(flatten)]
    pub(crate) writing: Writing,
}

/// What all commands that write a checkpoint anew have in common.
#[derive(Args, Debug)]
pub(crate) struct Writing {
    /// About how much memory to use beside the index and the largest single value, as 256M or 1G.
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = crate::units::parse_bytes)]
    pub(crate) memory: u64,
    /// Show what would be written, and write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Replace a checkpoint of the same format that is where the new one is to be, when all is written.
    #[arg(long)]
    pub(crate) force: bool,
    /// Do not wait until what is written is on the medium: it may be lost if the machine crashes.
    #[arg(long)]
    pub(crate) no_fsync: bool,
    /// Leave out what the index describes in a way that cannot be right.
    #[arg(long)]
    pub(crate) salvage: bool,
    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

fn parse_rename(text: &str) -> Result<(String, String), &'static str> {
    let (old, new) = text.split_once('=').ok_or("there is no = between the old and the new name")?;
    if old.is_empty() && new.is_empty() { Err("both names are empty") } else { Ok((old.into(), new.into())) }
}

/// What is said of options that both commands have.
macro_rules! rewrite_help {
    ($($own:literal),*) => {
        concat!($($own,)* "\
Globs are matched against whole names, as model.layers.0.weight. * stands for any characters, dots among them, ? for one, [ab] for one of \
these, {a,b} for one of these globs; a backslash takes the meaning from what follows it. A glob of --include that matches nothing is an error.

--rename model=net makes net.w of model.w and leaves models.w as it is. With an empty NEW the beginning is taken away, with an empty OLD one \
is put before every name. Of several that fit a name the first one counts, and only that. Two entries of one new name, and an OLD that nothing \
is called, are errors.

Everything that has a checksum is compared with it. What is damaged in SRC is an error that names it, and so is whatever else goes wrong; then, and \
after Ctrl-C, SRC and DST are as they were before, and nothing else stays behind. Without --force, DST must not hold a checkpoint.

After a kill or a crash the same command goes on: files that were finished are not written again, if DST is more than one file, SRC has not \
changed, and --no-fsync was not given. Do not give it while the first one still runs: that one then ends, and leaves the rest to the second.

The progress is written to standard error: a bar on a terminal, else a line now and then.

Exit status: 0 done; 1 SRC is bad; 2 it could not be done; 130 interrupted (SIGINT or SIGTERM).")
    };
}

const CONVERT_HELP: &str = rewrite_help!("\
Without --to, the ending of DST must tell the format: .pt, .pth, .ckpt and .bin are torch-save.

Names, values, dtypes and, in formats of several files, the chunks of tensors stay as they are. As many files are written as SRC has, and at least \
as many as --jobs, if there is something for each.

");

const RESHARD_HELP: &str = rewrite_help!("\
PLACEMENT is replicate, shard(D) or strided_shard(D,F): D is the dimension of the tensor that is cut, F the split factor of PyTorch's \
_StridedShard. A dimension that a tensor does not have is an error. Where no --placement matches, the first dimension of the mesh shards the first one of \
the tensor, if it has one, and the others replicate.

Without --to, DST gets the format of SRC, unless its ending tells another.

");

const CONSOLIDATE_HELP: &str = "\
OUT is a file of torch.save with the whole state: what is in the files of DIR, and what is in its meta.pt, where Fabric and the Trainer put \
what is neither of a model nor of an optimizer. A DIR that Lightning has not saved, of any format, becomes one file as well. (dcpctl convert leaves out, \
renames and converts, too.)

With --form trainer, model.* (or state_dict.*) becomes state_dict.*, and optimizer_0.*, optimizer_1.* and so on the list optimizer_states; a DIR without a model, \
or in whose optimizers there is a gap, is an error. With --form fabric everything stays as it is. Without --form it is trainer if the \
Trainer has saved DIR, which has its pytorch-lightning_version then; else fabric.

Tensors are streamed: it needs little memory, whatever the size of DIR. Everything that has a checksum is compared with it. What is damaged in DIR \
is an error that names it, and so is whatever else goes wrong; then, and after Ctrl-C, everything is as it was before. Without --force, OUT must not exist.

The progress is written to standard error: a bar on a terminal, else a line now and then.

Exit status: 0 done; 1 DIR is bad; 2 it could not be done; 130 interrupted (SIGINT or SIGTERM).";

#[derive(Args, Debug)]
#[command(after_help = GC_HELP)]
pub(crate) struct Gc {
    /// Where to look: a checkpoint's directory, one with checkpoints in it, however deep, or a URL of either.
    #[arg(value_name = "PLACE")]
    pub(crate) place: OsString,
    /// Remove it. Without this nothing is changed.
    #[arg(long)]
    pub(crate) yes: bool,
    /// You know that nobody saves below PLACE: what could be a live save's is taken for a dead one's.
    #[arg(long)]
    pub(crate) no_save_running: bool,
    /// Write JSON, for programs: a line for each object.
    #[arg(long)]
    pub(crate) json: bool,
}

const GC_HELP: &str = "\
A save that dies leaves data files to which no index refers, uploads that nobody will finish, companions of an index that never came (an index of \
a rank, meta.pt), and its claim (.dcp-claim-N), an object that says since when nobody will miss the rest. The next save into the same directory removes all of it; where \
none comes, this does.

Removed is what belongs to a generation to which no index refers and whose claim has expired: a day after the save began, unless the program that saves \
has chosen another time, or after it last put something on record. So it is with what has no claim any more, but for generation 0, whose names are PyTorch's, \
too. Unfinished uploads of single files (.pt) have no claim: they go only with --no-save-running. Whatever else is in PLACE is no \
business of this command, and a directory with an index that cannot be read, or is of another program's format, is left alone. Where the first save \
into a directory has died, PyTorch's own files there look like its leftovers until PyTorch has written its index: do not use this meanwhile.

With --no-save-running claims count as expired. If a save does run, it fails, at the latest when it commits; only in the moment of \
its commit could its new checkpoint lose files.

With --json each object is one line: name (from PLACE on), kind (\"data\", \"upload\", \"companion\", \"claim\"), bytes, state (\"to-remove\", \"removed\", \"kept\"), until (when its \
claim expires, in seconds since 1970), error. A directory that cannot be looked into has name, kind \"directory\", state \"failed\" and error.

Exit status: 0 done, whether or not there was anything; 2 something could not be looked into, or not be removed.";

const LS_HELP: &str = "\
Every checkpoint below PLACE is listed, however deep, step-9 before step-10. PLACE is listed once; then the index of each is read, and nothing \
else: of files of torch.save (.pt, .pth, .ckpt, .bin) only the first bytes. Links to directories are not followed.

The step is told by the name: the number after step, else the only number in it. The bytes are those of all files in the checkpoint's \
directory, but for other checkpoints' in it. The state is complete, if there is an index that can be read (dcpctl verify finds out the rest); unfinished, if there are \
parts but no index: a save is under way, or has died (dcpctl gc shows what it left); or unreadable.

With --json each checkpoint is one line, an object: location, name (from PLACE on), step, format, objects, bytes, state; with found (a part) if \
it is unfinished, error if it is unreadable.

Exit status: 0 fine; 1 at least one checkpoint cannot be read; 2 PLACE cannot be listed.";

const VERIFY_HELP: &str = "\
Every byte of tensors and values is read once and compared with its checksum, if it has one. All that is wrong is listed, with \
file and offset.

If CKPT is a directory that is no checkpoint, every directory directly in it that is one is verified, step-9 before step-10. What \
holds nothing like a checkpoint is passed over, and so are links, and what is hidden.

With --json each checkpoint is one line, an object: location, status (\"good\", \"bad\" or \"unknown\"), format, tensors, values, \
chunks, files, bytes (of tensors and values), read, checked, unchecked, share_checked (0 to 1), quick, cold, \
elapsed_s, problems (objects with fqn, offsets and sizes of the chunk, file, offset, kind, message), unlisted (chunks of \
tensors with very many problems), and opaque (values that would run code when PyTorch unpickles them: fqn, globals). What cannot \
be looked at has location, status and error.

Exit status: 0 good; 1 at least one checkpoint is bad; 2 none is known to be bad, but not everything could be looked at.";

#[derive(Args, Debug)]
#[command(after_help = DIFF_HELP)]
pub(crate) struct Diff {
    /// A checkpoint: a directory, a file or a URL.
    #[arg(value_name = "A")]
    pub(crate) left: OsString,
    /// The other one, to which relative differences are relative.
    #[arg(value_name = "B")]
    pub(crate) right: OsString,
    /// Allow elements to differ by so much of what they are in B.
    #[arg(long, value_name = "R", default_value_t = 0.0)]
    pub(crate) rtol: f64,
    /// Allow elements to differ by so much.
    #[arg(long, value_name = "A", default_value_t = 0.0)]
    pub(crate) atol: f64,
    /// Take NaN for something else than NaN.
    #[arg(long)]
    pub(crate) nan_differs: bool,
    /// Compare only what has a name that matches (may be given several times).
    #[arg(long, value_name = "GLOB")]
    pub(crate) include: Vec<String>,
    /// Leave out what has a name that matches, included or not (may be given several times).
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Write JSON, for programs.
    #[arg(long)]
    pub(crate) json: bool,
    /// Write nothing: the exit status says it all.
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) quiet: bool,
}

const DIFF_HELP: &str = "\
Tensors are the same if they have one dtype and one shape, and each element of A is the same as that of B. The same bits are the same, \
and so are two NaNs. Other bits differ unless a tolerance is given (so 0.0 and -0.0 differ); with one, a and b are the same if

    |a - b| <= atol + rtol * |b|

as numpy.isclose has it: infinities are near nothing but themselves, and |z| of a complex number is its magnitude. Integers and bools are \
numbers, too. Of what differs the largest |a - b| and the largest |a - b| / |b| are told. Dtypes that cannot be converted to numbers are compared \
by their bits. How tensors are cut into chunks does not matter.

Numbers inside values follow the same rule. Sets have no order, dicts have one, and objects that cannot be expressed are compared by their bytes.

Globs are matched against whole names, as model.layers.0.weight. * stands for any characters, dots among them, ? for one, [ab] for one of \
these, {a,b} for one of these globs; a backslash takes the meaning from what follows it. A glob of --include that matches nothing is an error.

What cannot be read is told, and the rest is compared.

With --json the output is one object: left and right (objects with location and format), status (\"same\", \"different\" or \"unknown\"), tensors \
and values (how many were compared), bytes (of these tensors, of one side), read (of both), elapsed_s, differences and unreadable. A difference has fqn and \
kind: \"only-left\", \"only-right\"; with left and right, \"kind\", \"dtype\", \"shape\"; \"elements\", with differing, of, first (an index), max_abs and max_rel \
(null where there is no such number) and nan; \"value\", with path (the first place in it that differs, empty if that is all of it), and what is there on \
left and right, as inspect --json writes it. What is unreadable has fqn, side, kind and message.

Exit status: 0 the same; 1 different; 2 something could not be compared, whether or not the rest differs.";
