//! What a process needed.

use std::fmt;
use std::time::Instant;

use crate::Fault;

/// Time, and the most memory that the process has held so far, or beyond something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// Wall time.
    pub(crate) seconds: f64,
    /// Memory; 0 where nobody asks.
    pub(crate) bytes: u64,
}

impl Used {
    /// What this process has needed since then.
    pub(crate) fn since(start: Instant) -> Result<Self, Fault> {
        let seconds = start.elapsed().as_secs_f64();
        let status = std::fs::read_to_string("/proc/self/status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak of memory")?;
        Ok(Self { seconds, bytes: line.trim().trim_end_matches(" kB").parse::<u64>()? << 10 })
    }

    /// Time alone.
    pub(crate) fn time(seconds: f64) -> Self {
        Self { seconds, bytes: 0 }
    }

    /// What was needed since an earlier look; memory beyond what there was.
    pub(crate) fn beyond(self, before: Self) -> Self {
        Self { seconds: self.seconds - before.seconds, bytes: self.bytes.saturating_sub(before.bytes) }
    }

    /// What another process has printed.
    pub(crate) fn parse(printed: &[u8]) -> Result<Self, Fault> {
        let (seconds, bytes) = serde_json::from_slice(printed)?;
        Ok(Self { seconds, bytes })
    }
}

/// As JSON: what [`parse`](Used::parse) reads.
impl fmt::Display for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {}]", self.seconds, self.bytes)
    }
}
