//! On what is measured: ratios compare with other machines, figures do not.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

use crate::Fault;

/// A machine, and what runs on it.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    memory_mib: u64,
    system: String,
    /// What the files are on.
    file_system: String,
    commit: String,
    /// If it takes part.
    pytorch: Option<String>,
}

impl Machine {
    /// This one, as it says itself.
    pub(crate) fn this(dir: &Path, pytorch: Option<String>) -> Result<Self, Fault> {
        let unknown = || "unknown".to_owned();
        let meminfo = fs::read_to_string("/proc/meminfo")?;
        let kib = field(&meminfo, "MemTotal").and_then(|value| value.trim_end_matches(" kB").parse::<u64>().ok());
        Ok(Self {
            processor: field(&fs::read_to_string("/proc/cpuinfo")?, "model name").map_or_else(unknown, str::to_owned),
            cores: std::thread::available_parallelism()?.get(),
            memory_mib: kib.unwrap_or_default() >> 10,
            system: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            file_system: file_system(&fs::read_to_string("/proc/mounts")?, &dir.canonicalize()?)
                .unwrap_or_else(unknown),
            commit: commit().unwrap_or_else(unknown),
            pytorch,
        })
    }
}

/// For people.
impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, cores, memory_mib, system, file_system, commit, pytorch } = self;
        writeln!(
            f,
            "{cores} cores ({processor}), {memory_mib} MiB of memory, Linux {system}, files on {file_system};"
        )?;
        let pytorch = pytorch.as_ref().map_or("no PyTorch".to_owned(), |version| format!("PyTorch {version}"));
        writeln!(f, "commit {commit}, {pytorch}.")
    }
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let value = |line: &'a str| line.split_once(':').filter(|(found, _)| found.trim() == name).map(|(_, value)| value);
    text.lines().find_map(value).map(str::trim)
}

/// The type of the innermost mount above a path.
fn file_system(mounts: &str, path: &Path) -> Option<String> {
    let mount = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (point, kind) = (words.next()?.to_owned(), words.next()?.to_owned());
        path.starts_with(&point).then_some((point, kind))
    };
    mounts.lines().filter_map(mount).max_by_key(|(point, _)| point.len()).map(|(_, kind)| kind)
}

fn commit() -> Option<String> {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty", "--exclude=*"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = git.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_lies_in_the_innermost_mount() {
        let mounts = "/dev/sda1 / ext4 rw 0 0\nnone /data tmpfs rw 0 0\nserver:/x /data/run nfs4 rw 0 0\n";
        let on = |path: &str| file_system(mounts, Path::new(path));
        assert_eq!(on("/home/x"), Some("ext4".to_owned()));
        assert_eq!(on("/data/other"), Some("tmpfs".to_owned()));
        assert_eq!(on("/data/run/1"), Some("nfs4".to_owned()));
        assert_eq!(on("/database"), Some("ext4".to_owned()));
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        assert_eq!(field("model\t: 1\nmodel name\t: A: b\n", "model name"), Some("A: b"));
        assert_eq!(field("MemTotalX: 1 kB\n", "MemTotal"), None);
    }
}
