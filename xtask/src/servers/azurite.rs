//! `azurite`: Azure's blob storage over a folder.

use std::path::{Path, PathBuf};

use super::Serving;
use super::server::Server;
use crate::cache::{Kept, LIMIT};
use crate::run::{Failure, Shell};
use crate::tools;

const VERSION: &str = "3.35.0";
const CONTAINER: &str = "checkpoints";
/// The account that it has, and the key of it that everybody knows.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Starts it, with one container.
pub(super) fn start(shell: &Shell) -> Result<Serving, Failure> {
    let program = installed(shell)?;
    let server = Server::start(shell, |port, files| {
        let mut command = shell.program("node");
        command.arg(&program).args(["--silent", "--skipApiVersionCheck", "--disableTelemetry"]);
        command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string(), "--location"]).arg(files);
        command
    })?;
    let mut make = shell.program("node");
    make.args(["-e", include_str!("container.js")]);
    make.args([&server.address.port().to_string(), ACCOUNT, KEY, CONTAINER]);
    shell.run(make)?;
    let environment = vec![
        ("DCP_TEST_AZURE", format!("az://{CONTAINER}/tests")),
        ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT.to_owned()),
        ("AZURE_STORAGE_ACCOUNT_KEY", KEY.to_owned()),
        ("AZURE_STORAGE_ENDPOINT", format!("http://{}/{ACCOUNT}", server.address)),
        ("AZURE_ALLOW_HTTP", "true".to_owned()),
    ];
    Ok(Serving { _server: server, environment })
}

fn installed(shell: &Shell) -> Result<PathBuf, Failure> {
    tools::need_npm(shell)?;
    let kept = Kept { name: &format!("azurite-{VERSION}"), what: "an Azure server (190 MB on disk)", room: 1 << 20 };
    let program = |place: &Path| place.join("node_modules/azurite/dist/src/blob/main.js");
    let works = |place: &Path| {
        let mut version = shell.program("node");
        version.arg(program(place)).arg("--version");
        shell.succeeds(version)
    };
    let place = kept.get(shell, works, |aside| {
        let mut npm = shell.program("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", &format!("azurite@{VERSION}"), "--prefix"]);
        npm.arg(aside);
        shell.run_within(npm, LIMIT)
    })?;
    Ok(program(&place))
}
