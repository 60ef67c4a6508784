//! A server of our own.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

use crate::Fault;

/// For the environment of a process.
pub(super) type Variables = Vec<(&'static str, String)>;

/// `s3s-fs`, until it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    process: Child,
    address: String,
    _root: TempDir,
}

impl Server {
    /// Starts the program over a temporary folder; waits until it answers.
    pub(super) fn start(program: &Path) -> Result<Self, Fault> {
        // In memory: a disk that writes back what one contestant has saved slows down the next one.
        let root = tempfile::tempdir_in(MEMORY).or_else(|_| tempfile::tempdir())?;
        std::fs::create_dir(root.path().join(BUCKET))?;
        // Free now, and nobody else is looking for one.
        let port = TcpListener::bind((HOST, 0))?.local_addr()?.port();
        let mut command = Command::new(program);
        command.args(["--host", HOST, "--port", &port.to_string(), "--access-key", KEY, "--secret-key", KEY]);
        let process = command.arg(root.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.map_err(|error| format!("{}: {error}", program.display()))?;
        let mut server = Self { process, address: format!("{HOST}:{port}"), _root: root };
        for _ in 0..TRIES {
            if TcpStream::connect(&server.address).is_ok() {
                return Ok(server);
            }
            if let Some(ended) = server.process.try_wait()? {
                return Err(format!("{}: {ended}", program.display()).into());
            }
            sleep(Duration::from_millis(10));
        }
        Err(format!("{} does not answer on {}", program.display(), server.address).into())
    }

    pub(super) fn url(&self) -> String {
        format!("s3://{BUCKET}")
    }

    /// How it is reached: without a hash of what is sent, as over https, by all who can do without.
    pub(super) fn variables(&self) -> Variables {
        vec![
            ("AWS_UNSIGNED_PAYLOAD", "true".to_owned()),
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", KEY.to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
        ]
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // There is nobody to tell.
        drop(self.process.kill().and_then(|()| self.process.wait()));
    }
}

const MEMORY: &str = "/dev/shm";
const HOST: &str = "127.0.0.1";
/// How often it is looked whether it answers.
const TRIES: usize = 1000;
const BUCKET: &str = "checkpoints";
const KEY: &str = "of-the-benchmark";
const REGION: &str = "us-east-1";
