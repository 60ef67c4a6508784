//! An answer that arrives.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use object_store::{GetResult, ObjectMeta};
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::budget::Taken;

/// The bytes of an answer that has begun.
///
/// A connection hands over one piece after the other, and waits until each has been taken. Who wants the bytes is on another thread: for each
/// of thousands of pieces both would have to be woken. So a task beside the connection takes them, gathers some, and goes on while those are moved.
pub(super) struct Answer {
    pub(super) state: State,
    gathered: Receiver<VecDeque<Arrived>>,
    pieces: VecDeque<Arrived>,
    /// Stops when nobody wants the answer any more.
    _taking: JoinSet<()>,
    _taken: Taken,
}

type Arrived = object_store::Result<Bytes>;

/// How many bytes are worth waking another thread for. A piece has half a MiB at the most, and most have a fifth of that.
const WORTH: usize = 256 << 10;
/// What arrives slowly is handed over after this time.
const SLOW: Duration = Duration::from_millis(20);

impl Answer {
    pub(super) fn new(state: State, got: GetResult, taken: Taken) -> Self {
        // While one lot is moved, the next one waits here or grows.
        let (to, gathered) = mpsc::channel(1);
        let mut arriving = got.into_stream().fuse();
        let mut taking = JoinSet::new();
        taking.spawn(async move {
            loop {
                let pieces = gather(&mut arriving).await;
                if pieces.is_empty() || to.send(pieces).await.is_err() {
                    break;
                }
            }
        });
        Self { state, gathered, pieces: VecDeque::new(), _taking: taking, _taken: taken }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Arrived> {
        if self.pieces.is_empty() {
            self.pieces = self.gathered.recv().await?;
        }
        self.pieces.pop_front()
    }
}

/// The next pieces; none at the end.
async fn gather(arriving: &mut (impl Stream<Item = Arrived> + Unpin)) -> VecDeque<Arrived> {
    let (mut pieces, mut bytes) = (VecDeque::new(), 0);
    let mut next = arriving.next().await;
    let until = Instant::now() + SLOW;
    while let Some(piece) = next {
        bytes += piece.as_ref().map_or(WORTH, Bytes::len);
        pieces.push_back(piece);
        if bytes >= WORTH {
            break;
        }
        let Ok(more) = timeout_at(until, arriving.next()).await else { break };
        next = more;
    }
    pieces
}

/// Which state of an object an answer is of.
#[derive(Clone, PartialEq)]
pub(super) struct State {
    pub(super) e_tag: Option<String>,
    /// Where there is no tag.
    otherwise: Option<(u64, i64)>,
}

impl State {
    pub(super) fn of(meta: &ObjectMeta) -> Self {
        let otherwise = meta.e_tag.is_none().then(|| (meta.size, meta.last_modified.timestamp_micros()));
        Self { e_tag: meta.e_tag.clone(), otherwise }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pieces_are_handed_over_in_order_and_many_at_a_time() {
        let sent: Vec<_> = (0..100).map(|number| Bytes::from(vec![number; 20_000])).collect();
        let mut arriving = stream::iter(sent.iter().cloned().map(Ok)).fuse();
        let (mut found, mut lots) = (Vec::new(), 0);
        loop {
            let pieces = gather(&mut arriving).await;
            if pieces.is_empty() {
                break;
            }
            lots += 1;
            found.extend(pieces.into_iter().map(|piece| piece.expect("it has arrived")));
        }
        assert_eq!(found, sent);
        // The first 14 of 20,000 bytes are worth it.
        assert_eq!(lots, 100_usize.div_ceil(14));
    }

    #[tokio::test(start_paused = true)]
    async fn what_arrives_slowly_is_not_kept() {
        let mut arriving = stream::iter([Ok(Bytes::from_static(b"slow"))]).chain(stream::pending()).fuse();
        let begun = Instant::now();
        assert_eq!(gather(&mut arriving).await.len(), 1);
        assert!(begun.elapsed() < 2 * SLOW, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_handed_over_at_once_behind_what_came_before() {
        let broken = object_store::Error::Generic { store: "of the test", source: "broken off".into() };
        let arriving = stream::iter([Ok(Bytes::from_static(b"whole")), Err(broken)]);
        let mut arriving = arriving.chain(stream::pending()).fuse();
        let begun = Instant::now();
        let pieces: Vec<_> = gather(&mut arriving).await.into_iter().map(|piece| piece.is_ok()).collect();
        assert_eq!(pieces, [true, false]);
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
