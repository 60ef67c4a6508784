//! The time that each of several phases takes.

use std::time::{Duration, Instant};

/// Times by name, in the order in which the phases first came.
#[derive(Debug, Default)]
pub(super) struct Phases(Vec<(&'static str, Duration)>);

impl Phases {
    /// Does a part of a phase and adds the time that it takes.
    pub(super) fn time<T>(&mut self, name: &'static str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = work();
        let elapsed = start.elapsed();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, total)) => *total += elapsed,
            None => self.0.push((name, elapsed)),
        }
        done
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, Duration)> + '_ {
        self.0.iter().copied()
    }

    /// The time of one phase.
    pub(super) fn of(&self, name: &str) -> Duration {
        self.iter().filter(|(known, _)| *known == name).map(|(_, time)| time).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_phase_add_up() {
        let mut phases = Phases::default();
        for name in ["one", "other", "one"] {
            assert_eq!(phases.time(name, || name), name);
        }
        let names: Vec<_> = phases.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["one", "other"]);
        assert_eq!(phases.of("none"), Duration::ZERO);
        let total: Duration = phases.iter().map(|(_, time)| time).sum();
        assert_eq!(phases.of("one") + phases.of("other"), total);
    }
}
