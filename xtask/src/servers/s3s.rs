//! `s3s-fs`: S3 over a folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::Serving;
use super::server::Server;
use crate::cache::{Kept, LIMIT, cannot};
use crate::run::{Failure, Shell};

/// Later ones need a newer compiler than the project does.
const VERSION: &str = "0.14.1";
const BUCKET: &str = "checkpoints";
/// Clauses of the store's contract that it does not keep. It looks whether a condition holds, and then writes; it writes an object, and then its
/// tag beside it; and it has no answer but 500 to who asks for an object where its folder has a folder.
const BROKEN: &str = "racing_publishers_if_absent_have_one_winner,racing_publishers_of_a_version_have_one_winner,\
                      racing_handles_have_one_winner,unfinished_upload_is_not_listed,list_goes_by_component,\
                      list_forgets_what_was_deleted,whole_object_is_of_one_state";
const ACCESS_KEY: &str = "access-key-of-the-tests";
const SECRET_KEY: &str = "secret-key-of-the-tests";

/// Starts it, with one bucket.
pub(super) fn start(shell: &Shell) -> Result<Serving, Failure> {
    let program = installed(shell)?;
    let server = Server::start(shell, |port, files| {
        let mut command = shell.program(&program);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY]).arg(files);
        command
    })?;
    let bucket = server.files().join(BUCKET);
    fs::create_dir(&bucket).map_err(|error| cannot("make", &bucket, &error))?;
    let environment = vec![
        ("DCP_TEST_S3", format!("s3://{BUCKET}/tests")),
        ("DCP_TEST_S3_EXCEPT", BROKEN.to_owned()),
        // The same bucket, past the server.
        ("DCP_TEST_S3_ROOT", server.files().display().to_string()),
        ("AWS_ENDPOINT_URL", format!("http://{}", server.address)),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
    ];
    Ok(Serving { _server: server, environment })
}

/// The program, which is compiled if it is not there yet.
pub(crate) fn installed(shell: &Shell) -> Result<PathBuf, Failure> {
    let kept =
        Kept { name: &format!("s3s-fs-{VERSION}"), what: "an S3 server (compiled in some minutes)", room: 2 << 20 };
    let program = |place: &Path| place.join("bin/s3s-fs");
    let works = |place: &Path| {
        let mut version = shell.program(program(place));
        version.arg("--version");
        shell.succeeds(version)
    };
    let place = kept.get(shell, works, |aside| {
        let mut cargo = shell.cargo(["install", "s3s-fs", "--version", VERSION, "--features", "binary", "--locked"]);
        // Neither into the workspace's own builds, nor with its flags.
        cargo.args(["--quiet", "--root"]).arg(aside).current_dir(std::env::temp_dir()).env_remove("CARGO_TARGET_DIR");
        shell.run_within(cargo, LIMIT)
    })?;
    Ok(program(&place))
}
