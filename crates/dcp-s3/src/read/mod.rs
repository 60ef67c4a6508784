//! Ranges of an object, straight into the caller's buffers; and all of a small one.

mod answer;
mod plan;

use std::ops::Range;

use bytes::Bytes;
use dcp_storage::{ReadRange, StorageError, Version};
use futures_util::TryStreamExt;
use futures_util::stream::FuturesUnordered;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::time::{Instant, timeout};

use self::answer::{Answer, State};
use self::plan::{Piece, Request};
use crate::Traffic;
use crate::budget::Budget;
use crate::site::Site;
use crate::version::version;
use crate::work::{self, Cause, Failure};

/// The object that is read, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading<'r> {
    pub(crate) store: &'r dyn ObjectStore,
    pub(crate) key: &'r Path,
    pub(crate) site: &'r Site,
    pub(crate) traffic: &'r Traffic,
    pub(crate) budget: &'r Budget,
}

impl Reading<'_> {
    /// Fills all buffers, with bytes of one state of the object.
    pub(crate) async fn fill(&self, ranges: &mut [ReadRange<'_>]) -> Result<(), StorageError> {
        let wanted: Vec<_> = ranges.iter().map(|range| (range.offset, range.buffer.len() as u64)).collect();
        let unusual = |&(offset, length): &(u64, u64)| length == 0 || offset.checked_add(length).is_none();
        if wanted.is_empty() || wanted.iter().any(unusual) {
            // No answer about bytes would say whether the object is there and how long it is.
            self.check(&wanted, self.size().await?)?;
        }
        for _ in 0..STATES {
            let trouble = match self.one_state(ranges, None).await {
                Ok(()) => return Ok(()),
                Err(Trouble::Changed) => continue,
                Err(trouble) => trouble,
            };
            let size = match &trouble {
                Trouble::Short { size } => Some(*size),
                // Some stores have no better answer to a range that starts beyond the end.
                Trouble::Failed(failure) if !failure.is_missing() && matches!(failure.cause, Cause::Answer(_)) => {
                    self.size().await.ok()
                }
                _ => None,
            };
            if let Some(size) = size {
                self.check(&wanted, size)?;
            }
            return Err(self.told(trouble));
        }
        Err(self.told(Trouble::Changed))
    }

    /// All bytes of one state of the object, and its version.
    pub(crate) async fn whole(&self, longest: u64) -> Result<(Bytes, Version), StorageError> {
        for _ in 0..STATES {
            match self.all_of_one_state(longest).await {
                Err(Trouble::Changed) => {}
                found => return found.map_err(|trouble| self.told(trouble)),
            }
        }
        Err(self.told(Trouble::Changed))
    }

    fn told(&self, trouble: Trouble) -> StorageError {
        match trouble {
            Trouble::Changed => self.site.overwritten(),
            Trouble::Short { .. } => self.site.broken("read", "it has changed its size".into()),
            Trouble::Long { size, longest } => self.site.too_long(size, longest),
            Trouble::Failed(failure) => self.site.failed("read")(failure),
            Trouble::Wrong(reason) => self.site.broken("read", reason),
            Trouble::GaveUp { attempts, begun, reason } => self.site.gave_up("read", attempts, begun.elapsed(), reason),
        }
    }

    async fn size(&self) -> Result<u64, StorageError> {
        Ok(self.head().await.map_err(self.site.failed("read"))?.size)
    }

    async fn head(&self) -> Result<ObjectMeta, Failure> {
        work::ask(self.traffic.patience(), self.store.head(self.key)).await
    }

    fn check(&self, wanted: &[(u64, u64)], size: u64) -> Result<(), StorageError> {
        let beyond = |&&(offset, length): &&(u64, u64)| offset.checked_add(length).is_none_or(|end| end > size);
        wanted.iter().find(beyond).map_or(Ok(()), |&(offset, length)| Err(self.site.out_of_range(offset, length, size)))
    }

    /// Fills all buffers with bytes of this state; without one, of that which the first answer is of.
    async fn one_state(&self, ranges: &mut [ReadRange<'_>], state: Option<State>) -> Result<(), Trouble> {
        let pieces = ranges.iter_mut().filter(|range| !range.buffer.is_empty());
        let pieces = pieces.map(|range| Piece { offset: range.offset, buffer: range.buffer });
        let requests = plan::requests(pieces, self.traffic.read_size);
        let Some(first) = requests.first() else { return Ok(()) };
        let (state, mut answer) = match state {
            Some(state) => (state, None),
            None => {
                let answer = self.open(first.start..first.end, None).await?;
                (answer.state.clone(), Some(answer))
            }
        };
        let all = requests.into_iter().map(|request| self.fetch(request, &state, answer.take()));
        all.collect::<FuturesUnordered<_>>().try_collect().await
    }

    /// Looks first: some servers find out the version after they have begun to read, by reading the object again. If it is then what it was
    /// before, so are the bytes.
    async fn all_of_one_state(&self, longest: u64) -> Result<(Bytes, Version), Trouble> {
        let found = self.head().await.map_err(Trouble::Failed)?;
        if found.size > longest {
            return Err(Trouble::Long { size: found.size, longest });
        }
        let mut content = vec![0; found.size as usize];
        let all = &mut [ReadRange { offset: 0, buffer: &mut content }];
        self.one_state(all, Some(State::of(&found))).await?;
        let version = version(found.e_tag, found.version).unwrap_or_else(|| Version::of_content(&content));
        Ok((content.into(), version))
    }

    /// Gets a request's bytes. An answer that breaks off is asked for again from there on.
    async fn fetch(&self, mut request: Request<'_>, state: &State, answer: Option<Answer>) -> Result<(), Trouble> {
        let begun = Instant::now();
        let (mut position, mut attempts) = (request.start, 1);
        let mut answer = answer;
        loop {
            let now = match answer.take() {
                Some(answer) => answer,
                None => self.open(position..request.end, Some(state)).await?,
            };
            let Err(reason) = self.drain(now, &mut request, &mut position, begun).await? else { return Ok(()) };
            if attempts >= self.traffic.attempts || begun.elapsed() >= self.traffic.deadline {
                return Err(Trouble::GaveUp { attempts, begun, reason });
            }
            work::pause(attempts).await;
            attempts += 1;
        }
    }

    /// Asks for bytes of a state.
    async fn open(&self, range: Range<u64>, state: Option<&State>) -> Result<Answer, Trouble> {
        let taken = self.budget.request().await;
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            if_match: state.and_then(|state| state.e_tag.clone()),
            ..GetOptions::default()
        };
        let got = match work::ask(self.traffic.patience(), self.store.get_opts(self.key, options)).await {
            Ok(got) => got,
            Err(failure) if state.is_some() && failure.is_refused() => return Err(Trouble::Changed),
            Err(failure) => return Err(Trouble::Failed(failure)),
        };
        let found = State::of(&got.meta);
        if state.is_some_and(|state| *state != found) {
            return Err(Trouble::Changed);
        }
        if got.range != range {
            return Err(Trouble::Short { size: got.meta.size });
        }
        Ok(Answer::new(found, got, taken))
    }

    /// Moves an answer into the buffers. An inner error is why it broke off.
    async fn drain(
        &self,
        mut answer: Answer,
        request: &mut Request<'_>,
        position: &mut u64,
        begun: Instant,
    ) -> Result<Result<(), String>, Trouble> {
        loop {
            let left = self.traffic.deadline.saturating_sub(begun.elapsed());
            match timeout(self.traffic.stall.min(left), answer.next()).await {
                Ok(Some(Ok(bytes))) => {
                    if bytes.len() as u64 > request.end - *position {
                        return Err(Trouble::Wrong("the answer has more bytes than were asked for".into()));
                    }
                    request.fill(*position, &bytes);
                    *position += bytes.len() as u64;
                }
                Ok(None) if *position == request.end => return Ok(Ok(())),
                Ok(None) => return Ok(Err(format!("the answer ended {} bytes early", request.end - *position))),
                Ok(Some(Err(fault))) => return Ok(Err(fault.to_string())),
                Err(_) if begun.elapsed() >= self.traffic.deadline => {
                    return Ok(Err("the answer took too long".into()));
                }
                Err(_) => return Ok(Err(format!("the answer stood still for {:.1?}", self.traffic.stall))),
            }
        }
    }
}

/// How many states of an object are tried to be read before somebody else replaces it.
const STATES: usize = 4;

/// Why a state could not be read.
enum Trouble {
    /// There is another one now.
    Changed,
    /// The object ends before the range does.
    Short { size: u64 },
    /// The object is longer than the caller cares for.
    Long { size: u64, longest: u64 },
    /// The store does not answer, or says no.
    Failed(Failure),
    /// The answer is not one to the question.
    Wrong(String),
    /// The answer broke off too often.
    GaveUp { attempts: u32, begun: Instant, reason: String },
}
