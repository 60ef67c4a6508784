//! How far it is: a bar on a terminal, else a line now and then.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dcp::ConvertProgress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::units::{bytes, rate, time};

/// Tells how far a conversion is, on the standard error of the process.
pub(super) enum Progress {
    Nobody,
    Bar(ProgressBar),
    Lines { start: Instant, next: Mutex<Duration> },
}

/// How long it is quiet between two lines.
const BETWEEN: Duration = Duration::from_secs(10);
const BAR: &str = "{wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta} left";

impl Progress {
    pub(super) fn new(is_wanted: bool) -> Self {
        if !is_wanted {
            return Self::Nobody;
        }
        if !io::stderr().is_terminal() {
            return Self::Lines { start: Instant::now(), next: Mutex::new(BETWEEN) };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(BAR);
        Self::Bar(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    pub(super) fn tell(&self, so_far: ConvertProgress) {
        match self {
            Self::Nobody => {}
            Self::Bar(bar) => {
                bar.set_length(so_far.total);
                bar.set_position(so_far.done);
            }
            Self::Lines { start, next } => {
                let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
                let elapsed = start.elapsed();
                if elapsed >= *next {
                    *next = elapsed + BETWEEN;
                    // Nobody can be told if standard error is gone.
                    drop(writeln!(io::stderr(), "{}", line(so_far.done, so_far.total, elapsed)));
                }
            }
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn line(done: u64, total: u64, elapsed: Duration) -> String {
    let mut line = format!("{} of {}", bytes(done), bytes(total));
    if done > 0 {
        let left = elapsed.as_secs_f64() * (total.saturating_sub(done)) as f64 / done as f64;
        let left = Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX);
        line = format!("{line}, {}, {} left", rate(done, elapsed), time(left));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long() {
        let seconds = Duration::from_secs;
        assert_eq!(line(0, 5 << 20, seconds(0)), "0 B of 5.0 MiB");
        assert_eq!(line(1 << 20, 5 << 20, seconds(2)), "1.0 MiB of 5.0 MiB, 512.0 KiB/s, 8.00 s left");
        assert_eq!(line(5 << 20, 5 << 20, seconds(2)), "5.0 MiB of 5.0 MiB, 2.5 MiB/s, 0 ms left");
    }
}
