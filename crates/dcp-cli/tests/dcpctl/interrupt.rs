//! Signals.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use dcp::LocalStore;
use dcp_cli::{Dcpctl, Status};
use dcp_storage::conformance::{Fault, FaultStore, Faults};

use crate::support::{inspect, small};

const FROM: &str = "DCPCTL_TEST_FROM";
const TO: &str = "DCPCTL_TEST_TO";
const WAITING: &str = "waiting in the midst of it";

/// A process in the midst of a conversion.
fn converting(from: &Path, to: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "interrupt::converts_until_there_is_a_signal", "--ignored", "--nocapture"])
        .envs([(FROM, from), (TO, to)])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs")
}

#[test]
fn what_is_killed_goes_on_when_it_is_started_again() {
    let (dir, from) = small();
    let to = dir.path().join("to");
    let mut child = converting(&from, &to);
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains(WAITING)));
    // Sends SIGKILL.
    child.kill().expect("runs");
    assert_eq!(child.wait().expect("ends").code(), None);
    let done = |dir: &Path| {
        let names = std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").file_name());
        names.filter(|name| name.to_string_lossy().starts_with("__")).count()
    };
    let finished = done(&to);
    assert!(finished > 0);
    let mut out = Vec::new();
    assert_eq!(convert(&from, &to, &Faults::none(), &mut out), Status::Fine);
    let out = String::from_utf8(out).expect("text");
    let said = format!("{finished} of {} files were there already", done(&to));
    assert!(finished < done(&to) && out.contains(&said), "{out}");
    let digest = |place: &Path| inspect(place, &["--json", "--digest"]).out;
    assert!(!digest(&to).is_empty());
    let clean = dir.path().join("clean");
    assert_eq!(convert(&from, &clean, &Faults::none(), &mut io::sink()), Status::Fine);
    assert_eq!(digest(&to).replace("/to", ""), digest(&clean).replace("/clean", ""));
    let all = |dir: &Path| {
        let names = std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").file_name());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(all(&to), all(&clean));
}

#[test]
fn a_signal_ends_a_conversion_that_leaves_nothing() {
    for signal in ["-INT", "-TERM"] {
        let (dir, from) = small();
        let to = dir.path().join("to");
        let mut child = converting(&from, &to);
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
        assert_eq!(inspect(&from, &["--digest"]).code, Some(0));
    }
}

/// The process that gets the signal. It waits for standard input where it has read the last of the source.
#[test]
#[ignore = "is a part of the test above"]
fn converts_until_there_is_a_signal() {
    let [from, to] = [FROM, TO].map(|name| PathBuf::from(std::env::var_os(name).expect("run by the test above")));
    let log = Faults::none();
    let elsewhere = tempfile::tempdir().expect("temporary directory");
    assert_eq!(convert(&from, &elsewhere.path().join("to"), &log, &mut io::sink()), Status::Fine);
    let wait = || {
        writeln!(io::stderr(), "{WAITING}").expect("written");
        io::stdin().read_line(&mut String::new()).expect("a line");
    };
    let faults = Faults::none().at(log.count() - 1, Fault::before(wait));
    std::process::exit(convert(&from, &to, &faults, &mut io::stdout()).code().into());
}

fn convert(from: &Path, to: &Path, faults: &Faults, out: &mut dyn Write) -> Status {
    let (from, faults) = (from.to_owned(), faults.clone());
    let is_waiting = faults.pending() > 0;
    let open = move |_: &str| -> Result<Arc<dyn dcp::Store>, dcp::Error> {
        Ok(Arc::new(FaultStore::new(LocalStore::open(&from), faults.clone())))
    };
    let args = ["dcpctl", "convert", "watched://from", to.to_str().expect("text"), "--to", "native", "--jobs", "1"];
    let dcpctl = Dcpctl::new().scheme("watched", open).as_process(is_waiting);
    dcpctl.run(args, out, &mut io::stderr())
}
