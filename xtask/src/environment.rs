//! A Python environment with PyTorch.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cache::{Kept, LIMIT, cannot};
use crate::run::{Failure, Shell};
use crate::tools;

/// What is installed in it.
const REQUIREMENTS: &str = "tests/python/requirements.txt";

/// The Python of an environment that has what is required. It is made if there is none yet, and used again while the requirements and the
/// version of Python are the same.
pub(crate) fn python(shell: &Shell) -> Result<PathBuf, Failure> {
    tools::need_venv(shell)?;
    let file = shell.root().join(REQUIREMENTS);
    let requirements = fs::read(&file).map_err(|error| cannot("read", &file, &error))?;
    let mut version = shell.program("python3");
    version.args(["-c", "import platform, sys; print(sys.version_info[:2], sys.platform, platform.machine())"]);
    let mut digest = crc32fast::Hasher::new();
    digest.update(&requirements);
    digest.update(shell.output(version)?.as_bytes());
    let environment = Kept {
        name: &format!("torch-{:08x}", digest.finalize()),
        what: "an environment with PyTorch (2.7 GB to download, 4.2 GB on disk)",
        // Both lie there for a while.
        room: 8 << 20,
    };
    let python = |environment: &Path| environment.join("bin/python");
    let is_whole = |environment: &Path| has_pytorch(shell, &python(environment));
    environment.get(shell, is_whole, |aside| install(shell, aside)).map(|place| python(&place))
}

fn has_pytorch(shell: &Shell, python: &Path) -> bool {
    let mut import = shell.program(python);
    import.args(["-c", "import torch, zstandard, s3fs"]);
    shell.succeeds(import)
}

fn install(shell: &Shell, at: &Path) -> Result<(), Failure> {
    let mut venv = shell.program("python3");
    venv.args(["-m", "venv"]).arg(at);
    shell.run(venv)?;
    // Downloads are put beside it, where there is room, and go with it.
    let downloads = at.join("downloads");
    fs::create_dir(&downloads).map_err(|error| cannot("make", &downloads, &error))?;
    let mut pip = shell.program(at.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-cache-dir"]);
    pip.args(["--no-deps", "--only-binary", ":all:", "--requirement", REQUIREMENTS]).env("TMPDIR", &downloads);
    shell.run_within(pip, LIMIT)?;
    fs::remove_dir_all(&downloads).map_err(|error| cannot("remove", &downloads, &error))
}
