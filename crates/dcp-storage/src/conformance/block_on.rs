//! Running a future to its end on the calling thread.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::runtime::{Builder, Runtime};

/// Runs `future` to its end on this thread.
///
/// Unlike a runtime's own `block_on` it may be nested, so that the hook of a
/// [`Fault::Before`](super::Fault::Before) can use a store while another operation is under way. A
/// tokio runtime is there to spawn on, with whichever drivers are compiled in, for stores that need one.
///
/// ```
/// use dcp_storage::conformance::block_on;
/// assert_eq!(block_on(async { 1 + block_on(async { 1 }) }), 2);
/// ```
///
/// # Panics
/// If no runtime can be started.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let _entered = runtime().enter();
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime for the tests")
    })
}
