//! How much goes over the network at once, and how long anybody waits for it.

use std::time::Duration;

use crate::work::Patience;

/// How a bucket is written and read: how much at once, in which pieces, and with how much patience.
///
/// A handle and its clones share one budget:
///
/// * **Writing** holds at most [`part_size`](Self::part_size) × [`parts_in_flight`](Self::parts_in_flight) bytes of parts that are on
///   their way, of all uploads together. Beside these each open upload holds what it was given and has not yet sent, which is less than
///   one part: so that any number of them may be open at once and written in any order.
/// * **Reading** takes no memory of its own: what arrives goes to the caller's buffers. (The engine's own, for runs that are short and for what is
///   not read into memory, have 1 MiB for each of 8 reads that a thread keeps under way.) Up to
///   [`reads_in_flight`](Self::reads_in_flight) requests are under way, of all reads together.
///
/// The client itself takes about 10 MiB, and for each connection what has arrived and is not yet where it is wanted: half a MiB on average, 3 MiB at the
/// most.
///
/// ```
/// use dcp_s3::Traffic;
/// let gentle = Traffic::default().parts_in_flight(4).reads_in_flight(8);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    pub(crate) part_size: u64,
    pub(crate) parts_in_flight: usize,
    pub(crate) reads_in_flight: usize,
    pub(crate) read_size: u64,
    pub(crate) coalesce_gap: u64,
    pub(crate) attempts: u32,
    pub(crate) stall: Duration,
    pub(crate) deadline: Duration,
}

impl Traffic {
    /// The smallest part that S3 takes, in bytes.
    pub const SMALLEST_PART: u64 = 5 << 20;

    /// The largest part that S3 takes, in bytes.
    pub const LARGEST_PART: u64 = 5 << 30;

    /// The bytes of one part of an upload, from [`SMALLEST_PART`](Self::SMALLEST_PART) to [`LARGEST_PART`](Self::LARGEST_PART); 8 MiB unless told otherwise. What is no longer
    /// than this is put in one request. Parts of very large objects are longer, since there may be only 10,000 of them: from 40 GB on (with
    /// this default) if the size is known at the start; otherwise they grow after the 5000th.
    #[must_use]
    pub fn part_size(mut self, bytes: u64) -> Self {
        self.part_size = bytes.clamp(Self::SMALLEST_PART, Self::LARGEST_PART);
        self
    }

    /// How many parts (of [`part_size`](Self::part_size); fewer if they are longer) are on their way at once; at least 1, 16 unless told
    /// otherwise.
    #[must_use]
    pub fn parts_in_flight(mut self, count: usize) -> Self {
        self.parts_in_flight = count.clamp(1, MOST_AT_ONCE);
        self
    }

    /// How many requests for bytes are under way at once; at least 1, 32 unless told otherwise.
    #[must_use]
    pub fn reads_in_flight(mut self, count: usize) -> Self {
        self.reads_in_flight = count.clamp(1, MOST_AT_ONCE);
        self
    }

    /// The most bytes that one request asks for; at least 64 KiB, 8 MiB unless told otherwise. Longer ranges are split.
    #[must_use]
    pub fn read_size(mut self, bytes: u64) -> Self {
        self.read_size = bytes.max(64 << 10);
        self
    }

    /// Two runs of a file shorter than 1 MiB with at most so many bytes between them are asked for in one request, and what lies between is
    /// dropped; 64 KiB unless told otherwise. So a load fetches, at worst, this much more for each run, which its report counts
    /// ([`ReadReport::read`](dcp_storage::ReadReport::read) beside `needed`); with 0 it fetches just what it needs, in many requests.
    #[must_use]
    pub fn coalesce_gap(mut self, bytes: u64) -> Self {
        self.coalesce_gap = bytes;
        self
    }

    /// How often a request is made before it is given up, if it fails in a way that may pass: at least 1, 8 unless told otherwise.
    /// Between attempts there is a pause, 0.1 s at first, twice as long each time, up to 10 s, and of that a random half. For buckets
    /// opened by their URL: a store given to [`over`](crate::Bucket::over) makes its own attempts, except for answers that break off.
    #[must_use]
    pub fn attempts(mut self, count: u32) -> Self {
        self.attempts = count.max(1);
        self
    }

    /// How long an answer may stand still before it is asked for again; 30 s unless told otherwise.
    #[must_use]
    pub fn stall(mut self, time: Duration) -> Self {
        self.stall = time;
        self
    }

    /// How long one piece of work (a part, one request's bytes, a listing) may take with all its attempts; 5 minutes unless told
    /// otherwise.
    #[must_use]
    pub fn deadline(mut self, time: Duration) -> Self {
        self.deadline = time;
        self
    }

    pub(crate) fn patience(&self) -> Patience {
        Patience { attempts: self.attempts, stall: self.stall, deadline: self.deadline }
    }
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            part_size: 8 << 20,
            parts_in_flight: 16,
            reads_in_flight: 32,
            read_size: 8 << 20,
            coalesce_gap: 64 << 10,
            attempts: 8,
            stall: Duration::from_secs(30),
            deadline: Duration::from_mins(5),
        }
    }
}

const MOST_AT_ONCE: usize = 4096;
