//! Steps that all ranks take together.

mod coordinator;
mod frame;
mod gather;
mod link;
mod member;
mod monitor;
mod patience;
mod verdict;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::frame::Step;
use self::gather::Gather;
use self::link::Link;
use self::patience::Patience;
use crate::{Collective, CollectiveError, Departure, Progress, StepError, WireError};

/// A sequence of steps that all ranks of a [`Collective`] take together, in which an error on one rank is an error on
/// all, and in which nothing hangs.
///
/// These are the steps of PyTorch's `_DistWrapper`. In each, every rank may do some work of its own; the values go to
/// one rank, the *coordinator*, and what it makes of them goes back.
///
/// # Contract
///
/// * All ranks make the exchange with the same coordinator and patience, call the same methods with the same step names
///   in the same order, and call [`finish`](Self::finish) in the end. Steps that differ are noticed
///   ([`CollectiveError::Diverged`]).
/// * **An error on one rank is an error on all.** The rank whose work failed gets its own error back
///   ([`StepError::Own`]); the others get [`CollectiveError::Failed`], which lists all ranks that failed in this step.
/// * **Nothing hangs.** A rank that works is waited for as long as its [`Progress`] moves at least once within
///   `patience`. A rank that does not, in its work or between two steps, is named on all others
///   ([`CollectiveError::Silent`]) after a little more than `patience`; the coordinator, after little more than twice
///   that, so that its own word on a third rank always comes first. A rank whose thread panics, that leaves, or that
///   drops the exchange before `finish`, is named at once ([`CollectiveError::Gone`]).
/// * **After an error the exchange is over.** Later calls run nothing and return the error again. Start a new one to try
///   again: each has a tag of its own, so nothing that is left of one disturbs the next.
/// * A step tells that the others did their part of it, not that they got its outcome: a rank that dies after it
///   delivered is found missing in the next step. Whoever must know ends with a [`barrier`](Self::barrier).
///
/// Several exchanges may run on one collective at once, in several threads, if all ranks make them in the same order.
///
/// # Example
///
/// ```
/// use std::{convert::Infallible, time::Duration};
/// use dcp_collective::{Exchange, SingleProcess, StepError};
///
/// let alone = SingleProcess::new();
/// let mut exchange = Exchange::new(&alone, 0, Duration::from_secs(60))?;
/// let doubled = exchange.all_reduce("double", |_| Ok(21), |all: Vec<u32>, _| Ok(all[0] * 2))?;
/// exchange.finish();
/// assert_eq!(doubled, 42);
/// # Ok::<(), StepError<Infallible>>(())
/// ```
#[must_use = "an exchange that is dropped before `finish` is an error on the other ranks"]
pub struct Exchange<'a> {
    link: Link<'a>,
    /// How many steps were begun.
    steps: u64,
    /// Why it is over.
    failed: Option<CollectiveError>,
    finished: bool,
}

impl<'a> Exchange<'a> {
    /// Begins an exchange among all ranks of `collective`, on a tag drawn from it. Sends nothing.
    ///
    /// `patience` is how long a rank may go without progress. It has to cover hiccups of the network and the scheduler:
    /// minutes for real jobs. Less than a millisecond counts as one.
    ///
    /// # Errors
    ///
    /// [`CollectiveError::NoSuchRank`] when `coordinator` is no position of the collective.
    pub fn new(
        collective: &'a dyn Collective,
        coordinator: usize,
        patience: Duration,
    ) -> Result<Self, CollectiveError> {
        let size = collective.size();
        if coordinator >= size {
            return Err(CollectiveError::NoSuchRank { position: coordinator, size });
        }
        let link = Link::new(collective, collective.next_tag(), coordinator, Patience::new(patience));
        Ok(Self { link, steps: 0, failed: None, finished: false })
    }

    /// Whether this rank is the coordinator.
    pub fn is_coordinator(&self) -> bool {
        self.link.is_coordinator()
    }

    /// Runs `local` on every rank and `reduce`, over all values in order of position, on the coordinator; returns what
    /// that made on every rank.
    ///
    /// ```
    /// # use std::{convert::Infallible, time::Duration};
    /// # use dcp_collective::{Collective, Exchange, StepError, ThreadGroup};
    /// # for longest in ThreadGroup::run(3, |rank| {
    /// # let mut exchange = Exchange::new(&rank, 0, Duration::from_secs(60))?;
    /// let longest = exchange.all_reduce(
    ///     "longest name",
    ///     |_| Ok(["a", "ccc", "bb"][rank.rank()].to_owned()),
    ///     |names: Vec<String>, _| Ok(names.into_iter().max_by_key(String::len)),
    /// )?;
    /// # exchange.finish();
    /// # Ok::<_, StepError<Infallible>>(longest) }) {
    /// # let longest = longest.expect("no panic")?;
    /// assert_eq!(longest.as_deref(), Some("ccc"));
    /// # }
    /// # Ok::<(), StepError<Infallible>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StepError::Own`] on the rank whose `local` or `reduce` failed, [`StepError::Collective`] on the others, and
    /// everywhere when ranks are lost or misunderstood.
    pub fn all_reduce<T, U, E>(
        &mut self,
        name: &'static str,
        local: impl FnOnce(&Progress) -> Result<T, E>,
        reduce: impl FnOnce(Vec<T>, &Progress) -> Result<U, E>,
    ) -> Result<U, StepError<E>>
    where
        T: Serialize + DeserializeOwned,
        U: Serialize + DeserializeOwned,
        E: WireError,
    {
        self.step("all_reduce", name, |link, step| {
            if !link.is_coordinator() {
                member::deliver(link, step, local)?;
                return Ok(member::receive(link, step)?);
            }
            let reduced = reduce_all(link, step, local, reduce)?;
            coordinator::send_same(link, step, &reduced)?;
            Ok(reduced)
        })
    }

    /// Runs `local` on every rank and `reduce`, over all values in order of position, on the coordinator; of the values
    /// that this makes, one for each position, every rank gets its own.
    ///
    /// ```
    /// # use std::{convert::Infallible, time::Duration};
    /// # use dcp_collective::{Collective, Exchange, StepError, ThreadGroup};
    /// # for (position, start) in ThreadGroup::run(3, |rank| {
    /// # let mut exchange = Exchange::new(&rank, 0, Duration::from_secs(60))?;
    /// # let len = 10 + rank.rank() as u64;
    /// // Where does each rank's part begin?
    /// let start = exchange.reduce_scatter(
    ///     "offsets",
    ///     |_| Ok(len),
    ///     |lens: Vec<u64>, _| {
    ///         let starts = lens.iter().scan(0, |end, len| Some(std::mem::replace(end, *end + len)));
    ///         Ok(starts.collect())
    ///     },
    /// )?;
    /// # exchange.finish();
    /// # Ok::<u64, StepError<Infallible>>(start) }).into_iter().enumerate() {
    /// # assert_eq!(start.expect("no panic")?, [0, 10, 21][position]);
    /// # }
    /// # Ok::<(), StepError<Infallible>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`all_reduce`](Self::all_reduce); [`CollectiveError::WrongCount`] when there is not one value for each rank.
    pub fn reduce_scatter<T, U, E>(
        &mut self,
        name: &'static str,
        local: impl FnOnce(&Progress) -> Result<T, E>,
        reduce: impl FnOnce(Vec<T>, &Progress) -> Result<Vec<U>, E>,
    ) -> Result<U, StepError<E>>
    where
        T: Serialize + DeserializeOwned,
        U: Serialize + DeserializeOwned,
        E: WireError,
    {
        self.step("reduce_scatter", name, |link, step| {
            if !link.is_coordinator() {
                member::deliver(link, step, local)?;
                return Ok(member::receive(link, step)?);
            }
            let reduced = reduce_all(link, step, local, reduce)?;
            Ok(coordinator::send_each(link, step, reduced)?)
        })
    }

    /// Runs `local` on every rank and gives every rank all values, in order of position.
    ///
    /// Costs the square of the number of ranks in bytes; [`all_reduce`](Self::all_reduce) when less will do.
    ///
    /// # Errors
    ///
    /// As [`all_reduce`](Self::all_reduce).
    pub fn all_gather<T, E>(
        &mut self,
        name: &'static str,
        local: impl FnOnce(&Progress) -> Result<T, E>,
    ) -> Result<Vec<T>, StepError<E>>
    where
        T: Serialize + DeserializeOwned,
        E: WireError,
    {
        self.all_reduce(name, local, |values, _| Ok(values))
    }

    /// Runs `local` on every rank and gives the coordinator all values, in order of position; the others get none.
    ///
    /// # Errors
    ///
    /// As [`all_reduce`](Self::all_reduce).
    pub fn gather<T, E>(
        &mut self,
        name: &'static str,
        local: impl FnOnce(&Progress) -> Result<T, E>,
    ) -> Result<Option<Vec<T>>, StepError<E>>
    where
        T: Serialize + DeserializeOwned,
        E: WireError,
    {
        self.step("gather", name, |link, step| {
            if !link.is_coordinator() {
                member::deliver(link, step, local)?;
                member::receive::<()>(link, step)?;
                return Ok(None);
            }
            let values = reduce_all(link, step, local, |values, _| Ok(values))?;
            coordinator::send_same(link, step, &())?;
            Ok(Some(values))
        })
    }

    /// Asks some ranks for a value: the coordinator says which, by position, and gets their values, in order of
    /// position. `make` runs on those ranks alone.
    ///
    /// For what is large and mostly the same everywhere: gather a digest of it first, then the thing itself from one
    /// rank for each digest. `chosen` is looked at on the coordinator only, which may choose itself, and nobody.
    ///
    /// ```
    /// # use std::{convert::Infallible, time::Duration};
    /// # use dcp_collective::{Collective, Exchange, StepError, ThreadGroup};
    /// # for plans in ThreadGroup::run(4, |rank| {
    /// # let mut exchange = Exchange::new(&rank, 0, Duration::from_secs(60))?;
    /// # let digest = rank.rank() / 2; let plan = vec![digest; 3];
    /// let digests = exchange.gather("digests", |_| Ok(digest))?;
    /// let mut distinct: Vec<usize> = Vec::new();
    /// if let Some(digests) = &digests {
    ///     for (position, digest) in digests.iter().enumerate() {
    ///         if !distinct.iter().any(|&other| digests[other] == *digest) {
    ///             distinct.push(position);
    ///         }
    ///     }
    /// }
    /// let plans = exchange.gather_from("plans", &distinct, |_| Ok(plan))?;
    /// # exchange.finish();
    /// # let is_coordinator = rank.rank() == 0;
    /// # Ok::<_, StepError<Infallible>>(plans.filter(|_| is_coordinator)) }) {
    /// # if let Some(plans) = plans.expect("no panic")? {
    /// assert_eq!(plans, [(0, vec![0; 3]), (2, vec![1; 3])]);
    /// # } }
    /// # Ok::<(), StepError<Infallible>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`all_reduce`](Self::all_reduce); [`CollectiveError::NoSuchRank`] when a chosen position is none.
    pub fn gather_from<T, E>(
        &mut self,
        name: &'static str,
        chosen: &[usize],
        make: impl FnOnce(&Progress) -> Result<T, E>,
    ) -> Result<Option<Vec<(usize, T)>>, StepError<E>>
    where
        T: Serialize + DeserializeOwned,
        E: WireError,
    {
        self.step("gather_from", name, |link, step| {
            if !link.is_coordinator() {
                if member::receive::<bool>(link, step)? {
                    member::deliver(link, step, make)?;
                }
                member::receive::<()>(link, step)?;
                return Ok(None);
            }
            let asked = flags(link, chosen)?;
            let own_is_asked = coordinator::send_each(link, step, asked.clone())?;
            let gather = Gather::new(link, step, |position| asked.get(position) == Some(&true));
            let (own, frames) = if own_is_asked {
                let (own, frames) = coordinator::collect(gather, link, step, make)?;
                (Some(own), frames)
            } else {
                (None, gather.finish(None)?)
            };
            let values =
                coordinator::work(link, step, |progress| coordinator::decode(link, step, own, frames, progress))?;
            coordinator::send_same(link, step, &())?;
            Ok(Some(values))
        })
    }

    /// Runs `make` on the coordinator and gives every rank what it made. The value is encoded once.
    ///
    /// The others deliver nothing in this step, so nobody waits for them: one that stalls is named in the next.
    ///
    /// # Errors
    ///
    /// As [`all_reduce`](Self::all_reduce).
    pub fn broadcast<T, E>(
        &mut self,
        name: &'static str,
        make: impl FnOnce(&Progress) -> Result<T, E>,
    ) -> Result<T, StepError<E>>
    where
        T: Serialize + DeserializeOwned,
        E: WireError,
    {
        self.step("broadcast", name, |link, step| {
            if !link.is_coordinator() {
                return Ok(member::receive(link, step)?);
            }
            let value = coordinator::work(link, step, make).map_err(StepError::Own)?;
            coordinator::send_same(link, step, &value)?;
            Ok(value)
        })
    }

    /// Runs `make` on the coordinator; of the values that it makes, one for each position, every rank gets its own.
    ///
    /// The others deliver nothing in this step, so nobody waits for them: one that stalls is named in the next.
    ///
    /// ```
    /// # use std::{convert::Infallible, time::Duration};
    /// # use dcp_collective::{Collective, Exchange, StepError, ThreadGroup};
    /// # for (position, name) in ThreadGroup::run(3, |rank| {
    /// # let mut exchange = Exchange::new(&rank, 0, Duration::from_secs(60))?;
    /// let name = exchange.scatter("names", |_| Ok(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]))?;
    /// # exchange.finish();
    /// # Ok::<_, StepError<Infallible>>(name) }).into_iter().enumerate() {
    /// # assert_eq!(name.expect("no panic")?, ["a", "b", "c"][position]);
    /// # }
    /// # Ok::<(), StepError<Infallible>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`reduce_scatter`](Self::reduce_scatter).
    pub fn scatter<T, E>(
        &mut self,
        name: &'static str,
        make: impl FnOnce(&Progress) -> Result<Vec<T>, E>,
    ) -> Result<T, StepError<E>>
    where
        T: Serialize + DeserializeOwned,
        E: WireError,
    {
        self.step("scatter", name, |link, step| {
            if !link.is_coordinator() {
                return Ok(member::receive(link, step)?);
            }
            let values = coordinator::work(link, step, make).map_err(StepError::Own)?;
            Ok(coordinator::send_each(link, step, values)?)
        })
    }

    /// What this rank has in common with the others that are threads of its process: all of them get what the first of them offers. Every rank by
    /// itself gets its own offer. Sends nothing and waits for nobody; the object is shared for as long as somebody holds it.
    ///
    /// For what makes their work cheaper, such as a cache, and at most one object an exchange: by the type of the first all others know it.
    ///
    /// ```
    /// # use std::{sync::{Arc, atomic::{AtomicU32, Ordering}}, time::Duration};
    /// # use dcp_collective::{Exchange, StepError, ThreadGroup};
    /// # for seen in ThreadGroup::run(4, |rank| {
    /// let mut exchange = Exchange::new(&rank, 0, Duration::from_secs(60))?;
    /// let count = exchange.in_common(Arc::new(AtomicU32::new(0)));
    /// count.fetch_add(1, Ordering::SeqCst);
    /// exchange.barrier("counted")?;
    /// assert_eq!(count.load(Ordering::SeqCst), 4);
    /// # exchange.finish();
    /// # Ok::<_, dcp_collective::CollectiveError>(()) }) { seen.expect("no panic")?; }
    /// # Ok::<(), dcp_collective::CollectiveError>(())
    /// ```
    #[must_use]
    pub fn in_common<T: Any + Send + Sync>(&self, offer: Arc<T>) -> Arc<T> {
        let common = self.link.collective.in_common(self.link.tag, Arc::clone(&offer) as _);
        common.downcast().unwrap_or(offer)
    }

    /// Returns when all ranks are here.
    ///
    /// # Errors
    ///
    /// When a rank is lost, or failed between two steps by dropping the exchange.
    pub fn barrier(&mut self, name: &'static str) -> Result<(), CollectiveError> {
        let result = self.step("barrier", name, |link, step| {
            if link.is_coordinator() {
                Gather::new(link, step, |_| true).finish(None)?;
                coordinator::send_same(link, step, &())?;
            } else {
                member::send(link, step, &())?;
                member::receive::<()>(link, step)?;
            }
            Ok::<(), StepError<CollectiveError>>(())
        });
        result.map_err(StepError::fold)
    }

    /// Ends the exchange. Sends nothing and waits for nobody.
    ///
    /// An exchange that is dropped without this counts as left early: the steps that the others still take fail and
    /// name this rank.
    pub fn finish(mut self) {
        self.finished = true;
    }

    /// Takes one step, unless one failed already, and sees to it that a failure is known to all.
    fn step<R, E: WireError>(
        &mut self,
        operation: &'static str,
        name: &'static str,
        take: impl FnOnce(&Link<'a>, Step) -> Result<R, StepError<E>>,
    ) -> Result<R, StepError<E>> {
        if let Some(error) = &self.failed {
            return Err(error.clone().into());
        }
        let step = Step::new(self.steps, operation, name);
        self.steps += 1;
        let result = take(&self.link, step);
        if let Err(error) = &result {
            let error = error.as_collective(&self.link, step);
            self.link.condemn(step, &error);
            self.failed = Some(error);
        }
        result
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if self.failed.is_none() && !self.finished {
            let why = if thread::panicking() { Departure::Panicked } else { Departure::Left };
            let gone = CollectiveError::Gone { rank: self.link.me(), why };
            self.link.condemn(Step::new(self.steps, "drop", "drop"), &gone);
        }
        self.link.collective.close(self.link.tag);
    }
}

impl fmt::Debug for Exchange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("rank", &self.link.me())
            .field("coordinator", &self.link.label(self.link.coordinator))
            .field("tag", &self.link.tag)
            .field("steps", &self.steps)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// The coordinator's part of a step up to what it makes of all values.
fn reduce_all<T, U, E>(
    link: &Link<'_>,
    step: Step,
    local: impl FnOnce(&Progress) -> Result<T, E>,
    reduce: impl FnOnce(Vec<T>, &Progress) -> Result<U, E>,
) -> Result<U, StepError<E>>
where
    T: DeserializeOwned,
    E: WireError,
{
    let (own, frames) = coordinator::collect(Gather::new(link, step, |_| true), link, step, local)?;
    // What `reduce` does may be for good. If the coordinator's own work stalled for too long, the others have given up.
    coordinator::no_objections(link, step)?;
    coordinator::work(link, step, |progress| {
        let values = coordinator::decode(link, step, Some(own), frames, progress)?;
        reduce(values.into_iter().map(|(_, value)| value).collect(), progress).map_err(StepError::Own)
    })
}

/// For each position whether it is among the chosen.
fn flags(link: &Link<'_>, chosen: &[usize]) -> Result<Vec<bool>, CollectiveError> {
    let size = link.collective.size();
    let mut flags = vec![false; size];
    for &position in chosen {
        *flags.get_mut(position).ok_or(CollectiveError::NoSuchRank { position, size })? = true;
    }
    Ok(flags)
}
