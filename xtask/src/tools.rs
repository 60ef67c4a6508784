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

/// The compiler.
pub(crate) struct Compiler {
    /// The platform that it runs on, and makes programs for.
    pub(crate) host: String,
    /// Its version.
    pub(crate) release: String,
}

/// What the compiler says of itself.
pub(crate) fn compiler(shell: &Shell) -> Result<Compiler, Failure> {
    let mut rustc = shell.program(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.arg("-vV");
    let version = shell.output(rustc)?;
    let line = |start: &str| version.lines().find_map(|line| line.strip_prefix(start)).map(str::to_owned);
    match (line("host: "), line("release: ")) {
        (Some(host), Some(release)) => Ok(Compiler { host, release }),
        _ => Err(Failure::new("rustc does not name its host and its release")),
    }
}

/// Makes sure that there is a C++ compiler, of which libFuzzer is built.
pub(crate) fn need_cpp_compiler(shell: &Shell) -> Result<(), Failure> {
    if has_cpp_compiler(shell) {
        return Ok(());
    }
    install(shell, "g++");
    if has_cpp_compiler(shell) {
        return Ok(());
    }
    Err(Failure::new("libFuzzer needs a C++ compiler: install g++ or clang, or leave the step out (`--skip fuzz`)"))
}

/// Makes sure that there is a valgrind that works here.
pub(crate) fn need_valgrind(shell: &Shell) -> Result<(), Failure> {
    let works = || {
        let mut valgrind = shell.program("valgrind");
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "true"]);
        shell.succeeds(valgrind)
    };
    if works() {
        return Ok(());
    }
    install(shell, "valgrind");
    if works() { Ok(()) } else { Err(Failure::left_out("there is no valgrind that works here: install valgrind")) }
}

/// Makes sure that there is a Python 3.
pub(crate) fn need_python(shell: &Shell) -> Result<(), Failure> {
    let has_python = || {
        let mut python = shell.program("python3");
        python.arg("--version");
        shell.succeeds(python)
    };
    if has_python() {
        return Ok(());
    }
    install(shell, "python3");
    if has_python() {
        return Ok(());
    }
    Err(Failure::new(
        "there is no python3: install it, or leave out the steps that need it (`--skip reader --skip pytorch`)",
    ))
}

/// Makes sure that Python can make environments.
pub(crate) fn need_venv(shell: &Shell) -> Result<(), Failure> {
    need_python(shell)?;
    let has_venv = || {
        let mut python = shell.program("python3");
        python.args(["-c", "import ensurepip, venv"]);
        shell.succeeds(python)
    };
    if has_venv() {
        return Ok(());
    }
    install(shell, "python3-venv");
    if has_venv() { Ok(()) } else { Err(Failure::new("this Python cannot make environments: install python3-venv")) }
}

/// Makes sure that there are node and npm.
pub(crate) fn need_npm(shell: &Shell) -> Result<(), Failure> {
    for program in ["node", "npm"] {
        let is_there = || {
            let mut version = shell.program(program);
            version.arg("--version");
            shell.succeeds(version)
        };
        if is_there() {
            continue;
        }
        install(shell, if program == "node" { "nodejs" } else { program });
        if !is_there() {
            return Err(Failure::new(format!("there is no {program}: install nodejs and npm")));
        }
    }
    Ok(())
}

/// Tries to install a package of the system, where that is Debian or one of its kin and we may.
fn install(shell: &Shell, package: &str) {
    println!("trying to install {package}");
    for words in [["apt-get"].as_slice(), &["sudo", "-n", "apt-get"]] {
        let apt = |arguments: &[&str]| {
            let mut apt = shell.program(words[0]);
            apt.args(&words[1..]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
            shell.succeeds(apt)
        };
        if apt(&["update"]) && apt(&["install", "-y", "--no-install-recommends", package]) {
            return;
        }
    }
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
