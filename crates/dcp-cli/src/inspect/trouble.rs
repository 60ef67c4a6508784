//! What is bad about single entries while the others are shown.

use dcp::Error;

use crate::failure::Failure;
use crate::units;

/// What is wrong, if the checkpoint is at fault; anything else ends the walk.
pub(super) fn fault(error: Error) -> Result<String, Failure> {
    if error.is_bad_checkpoint() { Ok(error.to_string()) } else { Err(error.into()) }
}

/// Counts entries that are bad.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    first: Option<String>,
    bad: u64,
}

impl Trouble {
    /// Counts an entry that is bad.
    pub(super) fn count(&mut self, fqn: &str, message: &str) {
        self.bad += 1;
        if self.first.is_none() {
            // Most messages begin with the name.
            let named = message.starts_with(fqn);
            self.first = Some(if named { message.to_owned() } else { format!("{fqn}: {message}") });
        }
    }

    /// Whether all was fine.
    pub(super) fn finish(self) -> Result<(), Failure> {
        match self.first {
            None => Ok(()),
            Some(first) if self.bad == 1 => Err(Failure::Bad(format!("1 entry is bad: {first}"))),
            Some(first) => {
                Err(Failure::Bad(format!("{} entries are bad, the first: {first}", units::grouped(self.bad))))
            }
        }
    }
}
