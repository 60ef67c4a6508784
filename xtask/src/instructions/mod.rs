//! How many instructions fixed pieces of work take, which is the same however busy a machine is.
//!
//! The work is that of `benches/instructions`; what it took when somebody last looked stands there, too.

mod callgrind;
mod figures;
mod finding;

use std::path::PathBuf;

use crate::run::{Failure, Shell};
use crate::tools::{self, Compiler};
use figures::Figures;
use finding::{Finding, compare, growth};

/// How the figures are written anew.
const ACCEPT: &str = "cargo xtask instructions --accept";

/// Counts, and fails if something takes clearly more than its figure says, or grows faster than its size.
pub(crate) fn check(shell: &Shell) -> Result<(), Failure> {
    tools::need_valgrind(shell)?;
    let kept = Figures::read(&file(shell))?;
    let found = count(shell)?;
    if kept.host != found.host {
        judge(&growth(&found.counts))?;
        let (kept, found) = (kept.host, found.host);
        return Err(Failure::left_out(format!("the figures are those of {kept}, and this is {found}")));
    }
    found.show_beside(&kept);
    if kept.rustc != found.rustc {
        println!("the figures are those of rustc {}, and this is {}", kept.rustc, found.rustc);
    }
    judge(&[compare(&kept.counts, &found.counts), growth(&found.counts)].concat())
}

/// Counts, and keeps what was found as the figures.
pub(crate) fn accept(shell: &Shell) -> Result<(), Failure> {
    tools::need_valgrind(shell)?;
    let found = count(shell)?;
    if let Ok(kept) = Figures::read(&file(shell)) {
        found.show_beside(&kept);
    }
    judge(&growth(&found.counts))?;
    found.write(&file(shell))
}

fn file(shell: &Shell) -> PathBuf {
    shell.root().join("benches/instructions/figures.json")
}

fn count(shell: &Shell) -> Result<Figures, Failure> {
    let Compiler { host, release } = tools::compiler(shell)?;
    Ok(Figures { host, rustc: release, counts: callgrind::count_all(shell)? })
}

/// Tells what was found, and fails if there is a fault in it.
fn judge(findings: &[Finding]) -> Result<(), Failure> {
    let (faults, hints): (Vec<_>, Vec<_>) = findings.iter().partition(|finding| finding.is_fault());
    hints.iter().for_each(|hint| println!("{hint}; to keep that: {ACCEPT}"));
    let Some(first) = faults.first() else { return Ok(()) };
    faults.iter().for_each(|fault| println!("*** {fault}"));
    println!("where they go: callgrind_annotate --auto=no --inclusive=yes {}/CASE", callgrind::KEPT);
    println!("if they are as they should be: {ACCEPT}");
    let more = if faults.len() > 1 { format!(" (and {} more)", faults.len() - 1) } else { String::new() };
    Err(Failure::new(format!("{first}{more}")))
}
