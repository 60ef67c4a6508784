//! Runs other programs from the root of the repository.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// No single command takes longer, unless told otherwise; one that does is stopped with all that it has started.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// Why a task did not succeed.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    is_left_out: bool,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), is_left_out: false }
    }

    /// Something was left out, as this machine does not have what it takes; nothing is wrong.
    pub(crate) fn left_out(why: impl Into<String>) -> Self {
        Self { what: why.into(), is_left_out: true }
    }

    pub(crate) fn is_left_out(&self) -> bool {
        self.is_left_out
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// Starts programs in the root of the repository.
#[derive(Debug)]
pub(crate) struct Shell {
    root: PathBuf,
}

impl Shell {
    pub(crate) fn new() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self { root: here.parent().unwrap_or(here).to_owned() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo, the very one that runs this.
    pub(crate) fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = self.program(cargo);
        command.args(arguments);
        command
    }

    /// Any program.
    pub(crate) fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).stdin(Stdio::null());
        command
    }

    /// Runs a command whose output is for people.
    pub(crate) fn run(&self, command: Command) -> Result<(), Failure> {
        self.run_within(command, LIMIT)
    }

    /// The same, but not for longer than this.
    pub(crate) fn run_within(&self, mut command: Command, limit: Duration) -> Result<(), Failure> {
        let shown = show(&command);
        println!("$ {shown}");
        let child = command.spawn().map_err(|error| Failure::new(format!("cannot start `{shown}`: {error}")))?;
        let status = wait(child, &shown, limit)?;
        if status.success() { Ok(()) } else { Err(Failure::new(format!("`{shown}` failed: {status}"))) }
    }

    /// Whether a command can be run and succeeds. Its output is not shown.
    pub(crate) fn succeeds(&self, mut command: Command) -> bool {
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }

    /// What a command prints.
    pub(crate) fn output(&self, mut command: Command) -> Result<String, Failure> {
        let shown = show(&command);
        let output = command.stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| Failure::new(format!("cannot start `{shown}`: {error}")))?;
        if !output.status.success() {
            return Err(Failure::new(format!("`{shown}` failed: {}", output.status)));
        }
        String::from_utf8(output.stdout).map_err(|_| Failure::new(format!("`{shown}` printed no text")))
    }
}

fn wait(mut child: Child, shown: &str, limit: Duration) -> Result<ExitStatus, Failure> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if start.elapsed() < limit => std::thread::sleep(Duration::from_millis(50)),
            Ok(None) => {
                stop(child.id());
                drop(child.wait());
                return Err(Failure::new(format!("`{shown}` took more than {} s and was stopped", limit.as_secs())));
            }
            Err(error) => return Err(Failure::new(format!("cannot wait for `{shown}`: {error}"))),
        }
    }
}

/// Ends a process and everything that it has started.
fn stop(process: u32) {
    let mut doomed = vec![process];
    let parents = parents();
    let mut next = 0;
    while let Some(&parent) = doomed.get(next) {
        doomed.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        next += 1;
    }
    let doomed = doomed.iter().map(u32::to_string);
    drop(Command::new("kill").arg("-KILL").args(doomed).stderr(Stdio::null()).status());
}

/// Every process and its parent, where the system tells (`/proc`).
fn parents() -> Vec<(u32, u32)> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let parent = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.ok()?;
        let process = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // `number (name) state parent ...`, where the name may hold anything.
        let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        Some((process, parent))
    };
    entries.filter_map(parent).collect()
}

fn show(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
