//! The part of a rank that is not the coordinator.

use std::time::Instant;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::frame::{Frame, Step};
use super::link::{Incoming, Link, Watch, own_failure};
use super::monitor::{Movement, watched};
use super::patience::after;
use crate::{CollectiveError, Progress, StepError, WireError};

/// Works, and sends what came of it to the coordinator.
pub(super) fn deliver<T: Serialize, E: WireError>(
    link: &Link<'_>,
    step: Step,
    local: impl FnOnce(&Progress) -> Result<T, E>,
) -> Result<(), StepError<E>> {
    let mut movement = Movement::default();
    let mut lost = None;
    let result = watched(link.patience.tick(), local, |progress| {
        if movement.of(progress) {
            link.keep_alive(step, [link.coordinator]);
        }
        match verdict_so_far(link, step) {
            Ok(()) => Watch::Continue(()),
            Err(error) => {
                lost = Some(error);
                progress.cancel();
                Watch::Break(())
            }
        }
    });
    if let Some(error) = lost {
        return Err(error.into());
    }
    match result {
        Ok(value) => Ok(send(link, step, &value)?),
        Err(own) => {
            // Work on what the others have already given up fails for no reason of its own.
            verdict_so_far(link, step)?;
            link.condemn(step, &own_failure(link, step, &own));
            // The step ends here when it ends everywhere: who tries again at once would else find nobody ready for it.
            // How it ends is known.
            let _ = receive::<IgnoredAny>(link, step);
            Err(StepError::Own(own))
        }
    }
}

/// Sends a value to the coordinator.
pub(super) fn send<T: Serialize>(link: &Link<'_>, step: Step, value: &T) -> Result<(), CollectiveError> {
    // A value may be large, and nobody reads it once the step is lost.
    verdict_so_far(link, step)?;
    let sent = link.encode(step, value).and_then(|message| link.send(link.coordinator, message));
    if let Err(error) = &sent {
        link.condemn(step, error);
        let _ = receive::<IgnoredAny>(link, step);
    }
    sent
}

/// Waits for what the coordinator has to say in the end.
pub(super) fn receive<T: DeserializeOwned>(link: &Link<'_>, step: Step) -> Result<T, CollectiveError> {
    wait(link, step)?.decode().map_err(|what| link.malformed(step, link.coordinator, &what))
}

fn wait(link: &Link<'_>, step: Step) -> Result<Frame, CollectiveError> {
    let patience = link.patience.for_coordinator();
    let mut heard = Instant::now();
    loop {
        match link.receive(step, link.coordinator, after(heard, patience))? {
            Some(Incoming::KeepAlive) => heard = Instant::now(),
            Some(Incoming::Value(frame)) => return Ok(frame),
            Some(Incoming::Verdict(error)) => {
                link.heard_verdict();
                return Err(error);
            }
            None => {
                let waited = heard.elapsed();
                if waited >= patience {
                    return Err(CollectiveError::Silent {
                        rank: link.label(link.coordinator),
                        step: step.name,
                        waited,
                    });
                }
            }
        }
    }
}

/// An error if the coordinator already said that the step is lost, or is gone.
fn verdict_so_far(link: &Link<'_>, step: Step) -> Result<(), CollectiveError> {
    loop {
        match link.receive(step, link.coordinator, Instant::now())? {
            None => return Ok(()),
            Some(Incoming::KeepAlive) => {}
            Some(Incoming::Value(_)) => {
                return Err(CollectiveError::Diverged { rank: link.label(link.coordinator), step: step.name });
            }
            Some(Incoming::Verdict(error)) => {
                link.heard_verdict();
                return Err(error);
            }
        }
    }
}
