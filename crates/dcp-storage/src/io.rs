//! The threads that do I/O.

mod queue;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::unconstrained;

use self::queue::{Queue, Stop};
use crate::{Commons, StorageError, StoreTraits};

/// How I/O is done: on how many threads, with how much memory, and who is told of progress.
///
/// Threads live only while a call runs, so that they may borrow the caller's tensors; no call returns while one of them may
/// still touch a buffer. Network clients find a tokio runtime around them.
#[derive(Clone)]
pub struct Io<'p> {
    handle: Handle,
    threads: usize,
    progress: &'p (dyn Fn(u64) + Send + Sync),
    verify: Verify,
    most_buffered: u64,
    commons: Option<Arc<Commons>>,
}

/// A buffer has room for some elements, whatever a store says.
const LEAST_BUFFER: u64 = 4 << 10;

/// What is checked of the bytes that a load reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Nothing.
    None,
    /// Every checksum block that is read whole: all of it but the edges of partial reads; and what a sink takes from a chunk
    /// that does not lie row-major, and elements that share bytes, only as it happens.
    #[default]
    Covered,
    /// Everything: reads are widened to whole blocks. What has larger blocks than a buffer, or a layout under which that
    /// would read blocks again and again, and is not read whole anyway, is read through once more, from its first byte to its
    /// last, only for its checksums; once in a call, however many parts of it are wanted.
    All,
}

impl Io<'static> {
    /// The memory that a read takes beside the destination, in bytes, unless the [store](crate::StoreTraits::read_buffer) asks for more: for each
    /// read under way, of which a thread has as many as the [store](crate::StoreTraits::reads_in_flight) wants. It stays in the cache of a core until its checksum has been compared and it has been handed on. 2 MiB more where reads
    /// are widened to large checksum blocks; 4 MiB more where a sink, which takes bytes in order, reads a chunk that lies permuted; 32 MiB
    /// more where that chunk is encoded as well, or where elements of it share bytes; what a decoder needs for itself comes on top (for Zstandard the window of the stream, 32 MiB at most).
    pub const READ_BUFFER: u64 = 256 << 10;

    /// How many bytes go straight to where they are wanted before their checksum is taken: few enough that they are still in the cache of a
    /// core, beside what they were copied from. Where nothing is compared there are more.
    pub const READ_STEP: u64 = 128 << 10;

    /// The memory that a write takes per file that is being written, beside the tensors, in bytes.
    pub const WRITE_BUFFER: u64 = 256 << 10;

    /// I/O on one thread for each core, but at most 8.
    ///
    /// # Errors
    /// [`StorageError::Io`] if the system gives no threads.
    pub fn new() -> Result<Self, StorageError> {
        Ok(Self {
            handle: runtime()?,
            threads: cores().min(8),
            progress: &|_| {},
            verify: Verify::default(),
            most_buffered: u64::MAX,
            commons: None,
        })
    }
}

impl<'p> Io<'p> {
    /// The same on another number of threads (at least 1).
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// The same for one of so many ranks that are threads of this process: they share its cores, and each has at least one thread.
    #[must_use]
    pub fn with_ranks(mut self, ranks: usize) -> Self {
        self.threads = self.threads.min(cores().div_ceil(ranks.max(1)));
        self
    }

    /// The same with other checks.
    #[must_use]
    pub fn with_verify(mut self, verify: Verify) -> Self {
        self.verify = verify;
        self
    }

    /// The same, telling how many bytes have moved, now and then and from any thread.
    #[must_use]
    pub fn with_progress<'q>(self, progress: &'q (dyn Fn(u64) + Send + Sync)) -> Io<'q> {
        let Self { handle, threads, verify, most_buffered, commons, .. } = self;
        Io { handle, threads, progress, verify, most_buffered, commons }
    }

    /// The same with less memory for reads than the store asks for, in bytes for each read under way.
    #[must_use]
    pub fn with_read_buffer(mut self, most: u64) -> Self {
        self.most_buffered = most;
        self
    }

    /// The same, reading together with others: with all to whom the same is given for one load of one checkpoint.
    #[must_use]
    pub fn with_commons(mut self, commons: Arc<Commons>) -> Self {
        self.commons = Some(commons);
        self
    }

    /// What this reads together with others.
    pub(crate) fn commons(&self) -> Option<&Arc<Commons>> {
        self.commons.as_ref()
    }

    /// The most bytes that a read asks for at a time where they go through a buffer.
    #[must_use]
    pub(crate) fn read_buffer(&self, traits: &StoreTraits) -> u64 {
        traits.read_buffer.min(self.most_buffered).clamp(LEAST_BUFFER, 1 << 40)
    }

    /// What is checked of the bytes that are read.
    #[must_use]
    pub fn verify(&self) -> Verify {
        self.verify
    }

    /// How many threads there are.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Tells that so many bytes have moved.
    pub fn advance(&self, bytes: u64) {
        (self.progress)(bytes);
    }

    /// Runs a future to its end on this thread, from anywhere: also where this thread belongs to a runtime, whose other tasks then wait.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _context = self.handle.enter();
        // The budget that a runtime gives each of its tasks is not renewed here.
        pollster::block_on(unconstrained(future))
    }

    /// Runs tasks on the I/O threads, of which this one is the first; each keeps up to `in_flight` of them under way. After an error no further
    /// task is started; they are dropped at once. Returns when all that were started have ended.
    ///
    /// # Errors
    /// The first error of a task.
    ///
    /// # Panics
    /// If a task panics.
    pub fn run<F, T>(&self, tasks: Vec<F>, in_flight: usize) -> Result<Vec<T>, StorageError>
    where
        F: Future<Output = Result<T, StorageError>> + Send,
        T: Send,
    {
        let threads = self.threads.min(tasks.len().div_ceil(in_flight.max(1)));
        let queue = Queue::new(tasks);
        let work = || {
            // A panic leaves nothing to be begun either.
            let _stop = Stop::new(&queue);
            self.block_on(async {
                let first = std::iter::from_fn(|| queue.next()).take(in_flight.max(1));
                let mut under_way: FuturesUnordered<F> = first.collect();
                let mut results = Vec::new();
                while let Some(result) = under_way.next().await {
                    if result.is_err() {
                        queue.clear();
                    }
                    results.push(result);
                    under_way.extend(queue.next());
                }
                results
            })
        };
        let results = std::thread::scope(|scope| {
            // If the system gives no more threads, those that there are do all of it.
            let spawn = |_| std::thread::Builder::new().spawn_scoped(scope, work).ok();
            let others: Vec<_> = (1..threads).map_while(spawn).collect();
            let mut results = work();
            for other in others {
                results.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            results
        });
        results.into_iter().collect()
    }
}

/// The runtime that network clients live on. It drives their sockets and timers; encrypting and decrypting is the most of that, and what wants
/// more than one thread.
fn runtime() -> Result<Handle, StorageError> {
    static RUNTIME: Mutex<Option<Runtime>> = Mutex::new(None);
    let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if runtime.is_none() {
        let threads = (cores() / 2).clamp(1, 8);
        let built = Builder::new_multi_thread().worker_threads(threads).thread_name("dcp-io").enable_all().build();
        let built = built.map_err(|source| StorageError::Io {
            operation: "start threads for",
            location: "this process".into(),
            path: "I/O".into(),
            source,
        })?;
        *runtime = Some(built);
    }
    match runtime.as_ref() {
        Some(runtime) => Ok(runtime.handle().clone()),
        None => unreachable!("just built"),
    }
}

/// Asked once: the system has it from several files.
fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(2, usize::from))
}

impl fmt::Debug for Io<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").field("threads", &self.threads).field("verify", &self.verify).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::Pin;

    use tokio::sync::oneshot::{Receiver, Sender, channel};

    use super::*;

    type Task = Pin<Box<dyn Future<Output = Result<(), StorageError>> + Send>>;

    /// One fails as soon as the next has begun, which ends when the last one is dropped.
    fn tasks(fail: fn() -> Result<(), StorageError>) -> Vec<Task> {
        let (has_begun, begun): (Sender<()>, Receiver<()>) = channel();
        let (held, released): (Sender<()>, Receiver<()>) = channel();
        let failing = async move {
            begun.await.expect("it begins");
            fail()
        };
        let waiting = async move {
            has_begun.send(()).expect("somebody waits");
            assert!(released.await.is_err(), "it never runs");
            Ok(())
        };
        let last = async move {
            held.send(()).expect("somebody waits");
            Ok(())
        };
        vec![Box::pin(failing), Box::pin(waiting), Box::pin(last)]
    }

    #[test]
    fn after_an_error_what_has_not_begun_is_dropped_before_others_end() {
        let io = Io::new().expect("threads").with_threads(2);
        let fail = || Err(StorageError::Unsupported { format: "none", what: "this".into() });
        assert!(matches!(io.run(tasks(fail), 1), Err(StorageError::Unsupported { .. })));
    }

    #[test]
    fn ranks_share_the_cores() {
        let io = Io::new().expect("threads");
        let threads = |ranks| io.clone().with_ranks(ranks).threads();
        assert_eq!((threads(0), threads(1)), (io.threads(), io.threads()));
        assert_eq!((threads(cores()), threads(usize::MAX)), (1, 1));
        assert!((2..=cores()).all(|ranks| ranks * threads(ranks) >= cores().min(8)));
    }

    #[test]
    fn what_is_little_is_done_on_the_calling_thread() {
        let io = Io::new().expect("threads").with_threads(8);
        let here = std::thread::current().id();
        let task = async || Ok(std::thread::current().id());
        assert_eq!(io.run(vec![task()], 1).expect("it succeeds"), [here]);
        assert_eq!(io.run(vec![task(), task()], 2).expect("they succeed"), [here, here]);
    }

    /// Each of them is polled by one that waits for it, where a runtime would say no, and takes more from channels than a task may in one go.
    #[test]
    fn it_may_be_called_from_anywhere() {
        let io = Io::new().expect("threads").with_threads(1);
        let many = async || {
            let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
            (0..1000).for_each(|number| sender.send(number).expect("somebody receives"));
            drop(sender);
            let mut sum = 0;
            while let Some(number) = receiver.recv().await {
                sum += number;
            }
            Ok(sum)
        };
        let nested = || io.block_on(async { io.run(vec![many()], 1).expect("it succeeds") });
        let one = Builder::new_current_thread().build().expect("a runtime");
        let several = Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
        for sums in [nested(), one.block_on(async { nested() }), several.block_on(async { nested() })] {
            assert_eq!(sums, [499_500]);
        }
    }

    #[test]
    fn so_it_is_after_a_panic() {
        let io = Io::new().expect("threads").with_threads(2);
        let run = AssertUnwindSafe(|| io.run(tasks(|| panic!("as it was told")), 1));
        assert!(catch_unwind(run).is_err());
    }
}
