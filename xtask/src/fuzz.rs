//! The fuzz targets: built on the stable toolchain, without a sanitizer, with libFuzzer's coverage.

use std::path::PathBuf;
use std::time::Duration;

use crate::run::{Failure, Shell};
use crate::tools;

/// What makes the compiler count edges for libFuzzer.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table";

/// Runs every target for a while.
pub(crate) fn run_all(shell: &Shell, each: Duration) -> Result<(), Failure> {
    tools::need_cpp_compiler(shell)?;
    build(shell)?;
    for target in targets(shell)? {
        run(shell, &target, each)?;
    }
    Ok(())
}

/// Builds all targets.
pub(crate) fn build(shell: &Shell) -> Result<(), Failure> {
    let host = tools::compiler(shell)?.host;
    let mut cargo = shell.cargo(["build", "--release", "--bins", "--manifest-path", "fuzz/Cargo.toml"]);
    // A target must be named: otherwise build scripts are instrumented, too.
    cargo.args(["--target", &host, "--target-dir", TARGET_DIR]);
    cargo.env("RUSTFLAGS", COVERAGE).env_remove("CARGO_ENCODED_RUSTFLAGS");
    shell.run(cargo)
}

/// Runs one target, which has been built, and keeps what it finds under `target/`.
pub(crate) fn run(shell: &Shell, target: &str, time: Duration) -> Result<(), Failure> {
    let known = targets(shell)?;
    if !known.iter().any(|known| known == target) {
        return Err(Failure::new(format!("there is no fuzz target {target}; there are {}", known.join(", "))));
    }
    let found = shell.root().join(TARGET_DIR).join("found").join(target);
    let crashes = shell.root().join(TARGET_DIR).join("crashes").join(target);
    for directory in [&found, &crashes] {
        let made = std::fs::create_dir_all(directory);
        made.map_err(|error| Failure::new(format!("cannot make {}: {error}", directory.display())))?;
    }
    let host = tools::compiler(shell)?.host;
    let mut fuzzer = shell.program(shell.root().join(TARGET_DIR).join(host).join("release").join(target));
    fuzzer.arg(format!("-max_total_time={}", time.as_secs().max(1)));
    // A single input that takes longer is a hang.
    fuzzer.args(["-timeout=30", "-rss_limit_mb=2048", "-max_len=16384", "-use_value_profile=1", "-verbosity=0"]);
    fuzzer.args(["-print_final_stats=1"]).arg(format!("-artifact_prefix={}/", crashes.display()));
    // New inputs go to the first directory; seeds are read only.
    fuzzer.args([found, shell.root().join("fuzz/seeds").join(target)]);
    shell.run(fuzzer)
}

/// The names of the targets.
pub(crate) fn targets(shell: &Shell) -> Result<Vec<String>, Failure> {
    let directory: PathBuf = shell.root().join("fuzz/fuzz_targets");
    let unreadable = |error| Failure::new(format!("cannot list {}: {error}", directory.display()));
    let mut targets = Vec::new();
    for entry in std::fs::read_dir(&directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            targets.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    targets.sort();
    Ok(targets)
}

const TARGET_DIR: &str = "target/fuzz";
