//! The part of the coordinator.

use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::frame::Step;
use super::gather::{Delivered, Gather};
use super::link::{Incoming, Link, Watch};
use super::monitor::{Movement, watched};
use super::patience::after;
use crate::{CollectiveError, Progress, RankFailure, StepError, WireError};

/// Does the coordinator's own part while the others do theirs, then waits for theirs.
pub(super) fn collect<T, E: WireError>(
    mut gather: Gather<'_, '_>,
    link: &Link<'_>,
    step: Step,
    local: impl FnOnce(&Progress) -> Result<T, E>,
) -> Result<(T, Delivered), StepError<E>> {
    let own = gather.during(local);
    // Work that was cancelled because of a loss fails for no reason of its own.
    gather.unbroken()?;
    match own {
        Ok(value) => Ok((value, gather.finish(None)?)),
        Err(own) => {
            if let Err(all) = gather.finish(Some(RankFailure::of(link.me(), &own))) {
                link.condemn(step, &all);
            }
            Err(StepError::Own(own))
        }
    }
}

/// Decodes what the others sent and puts the coordinator's own value in its place, in order of position.
pub(super) fn decode<T: DeserializeOwned>(
    link: &Link<'_>,
    step: Step,
    own: Option<T>,
    frames: Delivered,
    progress: &Progress,
) -> Result<Vec<(usize, T)>, CollectiveError> {
    let mut values = Vec::with_capacity(frames.len() + 1);
    let mut own = own.map(|value| (link.coordinator, value));
    for (position, frame) in frames {
        if position > link.coordinator {
            values.extend(own.take());
        }
        let value = frame.decode().map_err(|what| link.malformed(step, position, &what))?;
        values.push((position, value));
        progress.advance(1);
    }
    values.extend(own);
    Ok(values)
}

/// Runs work for which all the others wait.
pub(super) fn work<R>(link: &Link<'_>, step: Step, work: impl FnOnce(&Progress) -> R) -> R {
    if link.is_alone() {
        return work(&Progress::new());
    }
    let mut movement = Movement::default();
    watched(link.patience.tick(), work, |progress| {
        if movement.of(progress) {
            link.keep_alive(step, link.others());
        }
        Watch::Continue(())
    })
}

/// Sends all ranks the same.
///
/// One message to each, not a tree: a rank on the way that stalls would hold up those below it, who could not tell it
/// from the coordinator. The value is encoded once; what remains is one copy per rank.
pub(super) fn send_same<T: Serialize>(link: &Link<'_>, step: Step, value: &T) -> Result<(), CollectiveError> {
    if link.is_alone() {
        return Ok(());
    }
    let mut message = link.encode(step, value)?;
    let last = link.others().last();
    distribute(
        link,
        step,
        |position| {
            if Some(position) == last { std::mem::take(&mut message) } else { message.clone() }
        },
    )
}

/// Sends each rank its own value, and returns the coordinator's.
pub(super) fn send_each<T: Serialize>(link: &Link<'_>, step: Step, values: Vec<T>) -> Result<T, CollectiveError> {
    let (expected, found) = (link.collective.size(), values.len());
    let wrong_count = CollectiveError::WrongCount { step: step.name, expected, found };
    if found != expected {
        return Err(wrong_count);
    }
    // All are encoded before any is sent, since a rank that got its value takes the step for done.
    let mut own = None;
    let mut messages = Vec::with_capacity(expected);
    for (position, value) in values.into_iter().enumerate() {
        if position == link.coordinator {
            own = Some(value);
            messages.push(Vec::new());
        } else {
            messages.push(link.encode(step, &value)?);
        }
    }
    distribute(link, step, |position| messages.get_mut(position).map(std::mem::take).unwrap_or_default())?;
    own.ok_or(wrong_count)
}

/// Sends each of the others its message, also when one cannot be reached; the first error is returned.
fn distribute(link: &Link<'_>, step: Step, mut message: impl FnMut(usize) -> Vec<u8>) -> Result<(), CollectiveError> {
    no_objections(link, step)?;
    let mut result = Ok(());
    let mut next_keep_alive = after(Instant::now(), link.patience.tick());
    for position in link.others() {
        result = result.and(link.send(position, message(position)));
        // Large messages to many ranks take a while, and the last in line must not lose patience.
        if Instant::now() >= next_keep_alive {
            link.keep_alive(step, link.others().filter(|&other| other > position));
            next_keep_alive = after(Instant::now(), link.patience.tick());
        }
    }
    result
}

/// An error when a rank that waits for the outcome gave up or is gone meanwhile: after a stall of the coordinator, say.
/// Then there must be no outcome for anybody.
pub(super) fn no_objections(link: &Link<'_>, step: Step) -> Result<(), CollectiveError> {
    let now = Instant::now();
    for position in link.others() {
        loop {
            match link.receive(step, position, now)? {
                None => break,
                Some(Incoming::KeepAlive) => {}
                Some(Incoming::Verdict(error)) => return Err(error),
                Some(Incoming::Value(_)) => {
                    return Err(CollectiveError::Diverged { rank: link.label(position), step: step.name });
                }
            }
        }
    }
    Ok(())
}
