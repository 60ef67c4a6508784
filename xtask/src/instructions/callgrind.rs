//! Counts under valgrind's callgrind.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::figures::Counts;
use crate::cache::cannot;
use crate::run::{Failure, Shell};

/// Where the output of each case is kept.
pub(super) const KEPT: &str = "target/instructions";

/// The program that has the cases.
const PACKAGE: &str = "dcp-instructions";
/// Its function in which instructions are counted; a name may go on with what it is an instance of.
const COUNTED: &str = "dcp_instructions::counted::counted*";
/// No case takes longer.
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// Counts the instructions of every case.
pub(super) fn count_all(shell: &Shell) -> Result<Counts, Failure> {
    let program = build(shell)?;
    let kept = shell.root().join(KEPT);
    std::fs::create_dir_all(&kept).map_err(|error| cannot("make", &kept, &error))?;
    let cases = shell.output(shell.program(&program))?;
    cases.lines().map(|case| Ok((case.to_owned(), count(shell, &program, case)?))).collect()
}

fn build(shell: &Shell) -> Result<PathBuf, Failure> {
    println!("building {PACKAGE}");
    let mut cargo =
        shell.cargo(["build", "--quiet", "--release", "-p", PACKAGE, "--message-format", "json-render-diagnostics"]);
    // What is chosen in these makes other programs.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    let messages = shell.output(cargo)?;
    executable(&messages).ok_or_else(|| Failure::new(format!("cargo does not say where the program {PACKAGE} is")))
}

/// The program that cargo says it has made.
fn executable(messages: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = messages.filter_map(|message| Some(PathBuf::from(message["executable"].as_str()?)));
    programs.next()
}

fn count(shell: &Shell, program: &Path, case: &str) -> Result<u64, Failure> {
    let output = Path::new(KEPT).join(case);
    let mut valgrind = shell.program("valgrind");
    valgrind.args(["-q", "--tool=callgrind", &format!("--toggle-collect={COUNTED}")]);
    valgrind.arg(format!("--callgrind-out-file={}", output.display())).arg(program).arg(case);
    shell.run_within(valgrind, LIMIT)?;
    let output = shell.root().join(output);
    let text = std::fs::read_to_string(&output).map_err(|error| cannot("read", &output, &error))?;
    match total(&text) {
        None => Err(Failure::new(format!("{} has no total of instructions", output.display()))),
        Some(0) => Err(Failure::new(format!("{case}: callgrind has not come across {COUNTED}"))),
        Some(count) => Ok(count),
    }
}

/// The instructions in an output of callgrind, which lists its events by name before it says how many of each there were.
fn total(output: &str) -> Option<u64> {
    let of = |name: &str| output.lines().find_map(|line| line.strip_prefix(name)).map(str::split_whitespace);
    let place = of("events:")?.position(|event| event == "Ir")?;
    of("totals:")?.nth(place)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "# callgrind format\nversion: 1\ncmd:  program case\npart: 1\n\ndesc: Trigger: Program termination\n\n\
                          positions: line\nevents: Ir\nsummary: 1057067\n\n\nob=(7) program\nfl=(1) src/main.rs\nfn=(2) main\n\
                          450 626\n+1 1252\ncalls=1 +3\n* 7\n\ntotals: 1057068\n";

    #[test]
    fn the_total_is_that_of_the_instructions() {
        assert_eq!(total(OUTPUT), Some(1_057_068));
        let several = OUTPUT.replace("events: Ir", "events: Bc Ir").replace("totals: ", "totals: 5 ");
        assert_eq!(total(&several), Some(1_057_068));
    }

    #[test]
    fn what_has_no_total_has_none() {
        assert_eq!(total(""), None);
        assert_eq!(total(&OUTPUT.replace("events: Ir", "events: Bc")), None);
        assert_eq!(total(&OUTPUT.replace("totals: 1057068", "totals:")), None);
        assert_eq!(total(&OUTPUT.replace("1057068", "many")), None);
    }

    #[test]
    fn cargo_says_what_it_has_made() {
        let messages = "{\"reason\":\"compiler-artifact\",\"executable\":null}\n\
                        {\"reason\":\"compiler-artifact\",\"executable\":\"/t/release/it\"}\n{\"reason\":\"build-finished\"}\n";
        assert_eq!(executable(messages), Some(PathBuf::from("/t/release/it")));
        assert_eq!(executable("no message"), None);
    }
}
