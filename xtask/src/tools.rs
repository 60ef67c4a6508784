//! What the tests need beside Rust itself, and how to come by it.

use crate::run::{Failure, Shell};

/// Makes sure that the components of the toolchain that the checks use are there.
pub(crate) fn need_components(shell: &Shell) -> Result<(), Failure> {
    for (component, subcommand) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if shell.succeeds(shell.cargo([subcommand, "--version"])) {
            continue;
        }
        println!("the toolchain lacks {component}; trying to add it");
        let mut rustup = shell.program("rustup");
        rustup.args(["component", "add", component]);
        if !shell.succeeds(rustup) || !shell.succeeds(shell.cargo([subcommand, "--version"])) {
            return Err(Failure::new(format!(
                "`cargo {subcommand}` is missing: install the toolchain's component with `rustup component add \
                 {component}`, or your system's package of it"
            )));
        }
    }
    Ok(())
}

/// Makes sure that there is a C++ compiler, of which libFuzzer is built.
pub(crate) fn need_cpp_compiler(shell: &Shell) -> Result<(), Failure> {
    if has_cpp_compiler(shell) {
        return Ok(());
    }
    println!("libFuzzer needs a C++ compiler; trying to install one");
    for words in [["apt-get", "install"].as_slice(), &["sudo", "-n", "apt-get", "install"]] {
        let mut install = shell.program(words[0]);
        install.args(&words[1..]).args(["-y", "--no-install-recommends", "g++"]);
        install.env("DEBIAN_FRONTEND", "noninteractive");
        if shell.succeeds(install) && has_cpp_compiler(shell) {
            return Ok(());
        }
    }
    Err(Failure::new("there is no C++ compiler: install g++ or clang, or leave the step out (`--skip fuzz`)"))
}

/// Whether `cargo nextest` is there; `cargo test` does as well.
pub(crate) fn has_nextest(shell: &Shell) -> bool {
    shell.succeeds(shell.cargo(["nextest", "--version"]))
}

fn has_cpp_compiler(shell: &Shell) -> bool {
    let named = std::env::var("CXX").ok();
    let known = ["c++", "g++", "clang++"].map(str::to_owned);
    named.into_iter().chain(known).any(|compiler| {
        let mut command = shell.program(compiler);
        command.arg("--version");
        shell.succeeds(command)
    })
}
