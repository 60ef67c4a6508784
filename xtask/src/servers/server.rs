//! A server on this machine that lives as long as it is wanted.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::cache::cannot;
use crate::run::{Failure, Shell};

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(30);
/// A free port may be taken by another before the server has it.
const ATTEMPTS: usize = 5;

/// A server. It ends when this is dropped, and soon after this process ends, however that does.
#[derive(Debug)]
pub(super) struct Server {
    /// Where it listens.
    pub(super) address: SocketAddr,
    // In the order in which they have to go.
    _guard: Running,
    process: Running,
    files: TempDir,
}

impl Server {
    /// Starts a server by a command that is made for a port and an empty folder of its own, and waits until it listens.
    pub(super) fn start(shell: &Shell, command: impl Fn(u16, &Path) -> Command) -> Result<Self, Failure> {
        let mut last = Failure::new("it was not tried");
        for _ in 0..ATTEMPTS {
            let files =
                tempfile::tempdir().map_err(|error| cannot("make a folder in", &std::env::temp_dir(), &error))?;
            let address = free_address()?;
            let process = Running::start(command(address.port(), files.path()).stdout(Stdio::null()))?;
            let guard = process.guard(shell)?;
            let mut server = Self { address, _guard: guard, process, files };
            match server.listens() {
                Ok(()) => return Ok(server),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    /// Where it keeps what it is given; removed when it has ended.
    pub(super) fn files(&self) -> &Path {
        self.files.path()
    }

    /// Waits until somebody can connect.
    fn listens(&mut self) -> Result<(), Failure> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(ended) = self.process.ended() {
                return Err(ended);
            }
            if TcpStream::connect(self.address).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(Failure::new(format!("the server does not listen after {} s", PATIENCE.as_secs())))
    }
}

fn free_address() -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    listener.map_err(|error| Failure::new(format!("there is no free port: {error}")))
}

/// A process that is ended when this is dropped.
#[derive(Debug)]
struct Running {
    process: Child,
    what: String,
}

impl Running {
    fn start(command: &mut Command) -> Result<Self, Failure> {
        let what = command.get_program().to_string_lossy().into_owned();
        let process = command.spawn().map_err(|error| Failure::new(format!("cannot start {what}: {error}")))?;
        Ok(Self { process, what })
    }

    /// A process that ends this one when ours has ended, even killed: its standard input is a pipe that nobody else has the other end of.
    fn guard(&self, shell: &Shell) -> Result<Self, Failure> {
        let mut guard = shell.program("sh");
        guard.args(["-c", "trap '' INT; read -r _; kill -KILL \"$0\""]).arg(self.process.id().to_string());
        Self::start(guard.stdin(Stdio::piped()))
    }

    /// Why it is no longer there, if it is not.
    fn ended(&mut self) -> Option<Failure> {
        let status = self.process.try_wait().transpose()?;
        Some(match status {
            Ok(status) => Failure::new(format!("{} has ended: {status}", self.what)),
            Err(error) => Failure::new(format!("cannot wait for {}: {error}", self.what)),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
