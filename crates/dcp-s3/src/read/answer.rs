//! An answer that arrives.

use bytes::Bytes;
use futures_util::StreamExt;
use object_store::{GetResult, ObjectMeta};
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::JoinSet;

use crate::budget::Taken;

/// The bytes of an answer that has begun.
///
/// A connection hands over one piece after the other, and waits until each has been taken. Who wants the bytes is on another thread: for each
/// of thousands of pieces both would have to be woken. So a task beside the connection takes them, and goes on while there is room.
pub(super) struct Answer {
    pub(super) state: State,
    pieces: Receiver<object_store::Result<Bytes>>,
    /// Stops when nobody wants the answer any more.
    _taking: JoinSet<()>,
    _taken: Taken,
}

/// How many pieces wait to be moved to where they are wanted. One is half a MiB at the most.
const WAITING: usize = 2;

impl Answer {
    pub(super) fn new(state: State, got: GetResult, taken: Taken) -> Self {
        let (to, pieces) = mpsc::channel(WAITING);
        let mut arriving = got.into_stream();
        let mut taking = JoinSet::new();
        taking.spawn(async move {
            while let Some(piece) = arriving.next().await {
                if to.send(piece).await.is_err() {
                    break;
                }
            }
        });
        Self { state, pieces, _taking: taking, _taken: taken }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<object_store::Result<Bytes>> {
        self.pieces.recv().await
    }
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
