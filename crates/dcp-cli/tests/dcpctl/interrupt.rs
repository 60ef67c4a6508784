//! Signals.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use dcp::LocalStore;
use dcp_cli::{Dcpctl, Status};
use dcp_storage::conformance::{Fault, FaultStore, Faults};

use crate::support::small;

const FROM: &str = "DCPCTL_TEST_FROM";
const TO: &str = "DCPCTL_TEST_TO";
const WAITING: &str = "waiting in the midst of it";

#[test]
fn a_signal_ends_a_conversion_that_leaves_nothing() {
    for signal in ["-INT", "-TERM"] {
        let (dir, from) = small();
        let to = dir.path().join("to");
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "interrupt::converts_until_there_is_a_signal", "--ignored", "--nocapture"])
            .envs([(FROM, &from), (TO, &to)])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("runs");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains(WAITING)));
        assert!(to.join(".dcp-claim-0").exists());
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("runs");
        assert!(sent.success());
        // Not before the signal has come through does it go on.
        assert!(lines.any(|line| line.contains("stopping, and removing what was written")));
        writeln!(child.stdin.take().expect("piped")).expect("written");
        assert!(lines.any(|line| line == "dcpctl: cancelled; what was written was removed"));
        assert_eq!(child.wait().expect("ends").code(), Some(130));
        assert!(!to.exists());
        assert_eq!(crate::support::inspect(&from, &["--digest"]).code, Some(0));
    }
}

/// The process that gets the signal. It waits for standard input where it has read the last of the source.
#[test]
#[ignore = "is a part of the test above"]
fn converts_until_there_is_a_signal() {
    let [from, to] = [FROM, TO].map(|name| PathBuf::from(std::env::var_os(name).expect("run by the test above")));
    let log = Faults::none();
    let elsewhere = tempfile::tempdir().expect("temporary directory");
    assert_eq!(convert(&from, &elsewhere.path().join("to"), &log), Status::Fine);
    let wait = || {
        writeln!(io::stderr(), "{WAITING}").expect("written");
        io::stdin().read_line(&mut String::new()).expect("a line");
    };
    let faults = Faults::none().at(log.count() - 1, Fault::before(wait));
    std::process::exit(convert(&from, &to, &faults).code().into());
}

fn convert(from: &Path, to: &Path, faults: &Faults) -> Status {
    let (from, faults) = (from.to_owned(), faults.clone());
    let is_waiting = faults.pending() > 0;
    let open = move |_: &str| -> Result<Arc<dyn dcp::Store>, dcp::Error> {
        Ok(Arc::new(FaultStore::new(LocalStore::open(&from), faults.clone())))
    };
    let args = ["dcpctl", "convert", "watched://from", to.to_str().expect("text"), "--to", "native", "--jobs", "1"];
    let dcpctl = Dcpctl::new().scheme("watched", open).as_process(is_waiting);
    dcpctl.run(args, &mut io::stdout(), &mut io::stderr())
}
