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
    gathered: Receiver<VecDeque<Piece>>,
    pieces: VecDeque<Piece>,
    /// Stops when nobody wants the answer any more.
    _taking: JoinSet<()>,
    _taken: Taken,
}

type Piece = object_store::Result<Bytes>;

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
    pub(super) async fn next(&mut self) -> Option<Piece> {
        if self.pieces.is_empty() {
            self.pieces = self.gathered.recv().await?;
        }
        self.pieces.pop_front()
    }
}

/// The next pieces; none at the end.
async fn gather(arriving: &mut (impl Stream<Item = Piece> + Unpin)) -> VecDeque<Piece> {
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
