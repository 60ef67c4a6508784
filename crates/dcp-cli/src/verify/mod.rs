//! Whether a checkpoint is whole and sound.

mod json;
mod text;

use std::io::Write;

use dcp::{Audit, Auditor, Cataloged, Error, Location, Opener, StorageError, Verdict};

use crate::args::Verify;
use crate::failure::Failure;
use crate::units;

/// Verifies a checkpoint, or every checkpoint in a directory that is none itself.
pub(crate) fn verify(location: Location, opener: &Opener, args: &Verify, out: &mut dyn Write) -> Result<(), Failure> {
    let auditor = Auditor::new().opener(opener.clone()).quick(args.quick);
    let audit = |location: &Location| auditor.audit(location.clone().cold(args.cold));
    let mut outcome = Outcome::default();
    match audit(&location) {
        Err(error) if is_none(&error) => {
            let within = directly_in(&location, opener)?;
            for checkpoint in &within {
                outcome.take(&checkpoint.to_string(), audit(checkpoint), args, out)?;
            }
            if within.is_empty() {
                outcome.take(&args.checkpoint.to_string_lossy(), Err(error), args, out)?;
            }
        }
        audited => outcome.take(&args.checkpoint.to_string_lossy(), audited, args, out)?,
    }
    outcome.finish()
}

/// The checkpoints of several files directly in a directory, unless they are hidden.
fn directly_in(location: &Location, opener: &Opener) -> Result<Vec<Location>, Failure> {
    let catalog = opener.catalog(location.clone())?;
    let is_meant = |checkpoint: &Cataloged| {
        let name = &checkpoint.name;
        !checkpoint.is_file && !name.is_empty() && !name.starts_with('.') && !name.contains('/')
    };
    Ok(catalog.checkpoints.into_iter().filter(is_meant).map(|checkpoint| checkpoint.location).collect())
}

/// Whether nothing like a checkpoint is there.
fn is_none(error: &Error) -> bool {
    matches!(error, Error::Storage(error) if matches!(**error, StorageError::NoCheckpoint { .. }))
}

/// What came of all checkpoints.
#[derive(Debug, Default)]
struct Outcome {
    checkpoints: u64,
    bad: u64,
    /// What is wrong with the first bad one.
    first: Option<String>,
    /// Why the first could not be looked at.
    unknown: Option<Failure>,
}

impl Outcome {
    fn take(
        &mut self,
        place: &str,
        audited: Result<Audit, Error>,
        args: &Verify,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        self.checkpoints += 1;
        match audited {
            Ok(audit) => {
                if args.json { json::write(&audit, args, out) } else { text::write(&audit, out) }?;
                self.judge(&audit);
            }
            Err(error) => {
                let error = Failure::from(error);
                if args.json {
                    json::unknown(place, &error, out)?;
                } else {
                    text::unknown(place, &error, out)?;
                }
                self.unknown.get_or_insert(error);
            }
        }
        Ok(out.flush()?)
    }

    fn judge(&mut self, audit: &Audit) {
        let told = |is_fault: bool| {
            let defect = audit.defects.iter().find(|defect| defect.is_fault == is_fault);
            defect.map_or_else(String::new, text::line)
        };
        match audit.verdict() {
            Verdict::Sound => {}
            Verdict::Bad => {
                self.bad += 1;
                let problems = units::count(audit.defects.len() as u64, "problem");
                self.first.get_or_insert(format!("{problems} in {}, the first: {}", audit.location, told(true)));
            }
            Verdict::Unknown => {
                self.unknown.get_or_insert(Failure::Impossible(told(false)));
            }
        }
    }

    fn finish(self) -> Result<(), Failure> {
        match (self.first, self.unknown) {
            (Some(first), _) if self.checkpoints == 1 => Err(Failure::Bad(first)),
            (Some(first), _) => {
                let (bad, of) = (units::grouped(self.bad), units::count(self.checkpoints, "checkpoint"));
                Err(Failure::Bad(format!("{bad} of {of} bad; {first}")))
            }
            (None, Some(unknown)) => Err(unknown),
            (None, None) => Ok(()),
        }
    }
}
