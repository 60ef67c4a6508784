//! What a process needed.

use std::error::Error;
use std::fmt;
use std::time::Instant;

/// Time, and the most memory that the process has held so far.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// Wall time.
    pub seconds: f64,
    /// Memory.
    pub bytes: u64,
}

impl Used {
    /// What this process has needed since then.
    ///
    /// # Errors
    /// Where the system does not tell: on Linux it does.
    pub fn since(start: Instant) -> Result<Self, Box<dyn Error>> {
        let seconds = start.elapsed().as_secs_f64();
        let status = std::fs::read_to_string("/proc/self/status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak of memory")?;
        Ok(Self { seconds, bytes: line.trim().trim_end_matches(" kB").parse::<u64>()? << 10 })
    }

    /// What another process has printed.
    ///
    /// # Errors
    /// For anything else.
    pub fn parse(printed: &[u8]) -> Result<Self, Box<dyn Error>> {
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
