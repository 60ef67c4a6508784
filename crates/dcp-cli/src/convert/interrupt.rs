//! Signals that end a conversion.

use std::io::{self, Write};

use dcp::Cancel;

use crate::Status;
use crate::failure::Failure;

/// Lets the first SIGINT or SIGTERM ask for a stop. The second one ends the process.
pub(super) fn on_signals(cancel: &Cancel) -> Result<(), Failure> {
    let cancel = cancel.clone();
    let handler = move || {
        if cancel.is_cancelled() {
            std::process::exit(Status::Interrupted.code().into());
        }
        cancel.cancel();
        // Nobody can be told if standard error is gone.
        drop(writeln!(io::stderr(), "dcpctl: stopping, and removing what was written; interrupt again to leave it"));
    };
    ctrlc::set_handler(handler).map_err(|error| Failure::Impossible(format!("cannot wait for signals: {error}")))
}
