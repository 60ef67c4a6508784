//! Contestants take turns: one run each, again and again, so that what the machine does beside hits all of them. Each time in another order: what one
//! leaves behind, as memory in disorder, the next one pays for, and that should not always be the same one.

use crate::Fault;
use crate::contestants::Who;
use crate::report::{Figure, Unit, median};
use crate::used::Used;

/// Who takes part.
pub(crate) struct Turns<'a> {
    repeat: usize,
    entries: Vec<Entry<'a>>,
}

struct Entry<'a> {
    who: Who,
    way: String,
    /// Whether the others go on without it if it fails.
    is_guest: bool,
    has_failed: bool,
    work: Box<dyn FnMut() -> Result<Used, Fault> + 'a>,
    runs: Vec<Used>,
}

/// What they needed.
pub(crate) struct Taken<'a>(Vec<Entry<'a>>);

impl<'a> Turns<'a> {
    pub(crate) fn new(repeat: usize) -> Self {
        Self { repeat, entries: Vec::new() }
    }

    /// One more contestant, or one more way of it: its best way is what counts.
    pub(crate) fn add(
        &mut self,
        who: Who,
        way: impl ToString,
        work: impl FnMut() -> Result<Used, Fault> + 'a,
    ) -> &mut Self {
        self.enter(who, way, false, work)
    }

    /// The same, of a contestant that is not ours: if it fails the others go on without it.
    pub(crate) fn add_guest(
        &mut self,
        who: Who,
        way: impl ToString,
        work: impl FnMut() -> Result<Used, Fault> + 'a,
    ) -> &mut Self {
        self.enter(who, way, true, work)
    }

    fn enter(
        &mut self,
        who: Who,
        way: impl ToString,
        is_guest: bool,
        work: impl FnMut() -> Result<Used, Fault> + 'a,
    ) -> &mut Self {
        let (way, work) = (way.to_string(), Box::new(work));
        self.entries.push(Entry { who, way, is_guest, has_failed: false, work, runs: Vec::new() });
        self
    }

    /// Lets all of them have their turns.
    pub(crate) fn take(mut self) -> Result<Taken<'a>, Fault> {
        for round in 0..self.repeat {
            for number in order(round, self.entries.len()) {
                let entry = &mut self.entries[number];
                match (entry.work)() {
                    Ok(used) => entry.runs.push(used),
                    Err(why) if entry.is_guest => {
                        println!("{} {} failed and is left out: {why}", entry.who, entry.way);
                        entry.has_failed = true;
                    }
                    Err(why) => return Err(format!("{} {}: {why}", entry.who, entry.way).into()),
                }
            }
            self.entries.retain(|entry| !entry.has_failed);
        }
        Ok(Taken(self.entries))
    }
}

/// Who comes when: another order in each round, and the same ones in every run.
fn order(round: usize, contestants: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..contestants).collect();
    fastrand::Rng::with_seed(round as u64).shuffle(&mut order);
    order
}

impl Taken<'_> {
    /// Their times.
    pub(crate) fn seconds(&self) -> Vec<Figure> {
        self.figures(Unit::Seconds, |used| used.seconds)
    }

    /// How fast they handled these bytes, in GB/s.
    pub(crate) fn rates(&self, bytes: usize) -> Vec<Figure> {
        self.figures(Unit::GbPerSecond, |used| bytes as f64 / 1e9 / used.seconds)
    }

    /// Their memory, in MiB.
    pub(crate) fn mebibytes(&self) -> Vec<Figure> {
        self.figures(Unit::Mebibytes, |used| used.bytes as f64 / f64::from(1 << 20))
    }

    fn figures(&self, unit: Unit, value: impl Fn(&Used) -> f64) -> Vec<Figure> {
        let mut figures: Vec<Figure> = Vec::new();
        for entry in &self.0 {
            let runs: Vec<_> = entry.runs.iter().map(&value).collect();
            let this = Figure { way: entry.way.clone(), median: median(&runs), runs, ..Figure::new(entry.who, vec![]) };
            match figures.iter_mut().find(|figure| figure.contestant == entry.who) {
                None => figures.push(this),
                Some(best) => best.compete(this, unit),
            }
        }
        figures
    }
}

impl Figure {
    /// Keeps the better way of the same contestant; remembers the other one.
    fn compete(&mut self, other: Figure, unit: Unit) {
        let mut others = std::mem::take(&mut self.other_ways);
        let worse = if unit.times(other.median, self.median) > 1.0 { std::mem::replace(self, other) } else { other };
        others.push((worse.way, worse.median));
        self.other_ways = others;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::contestants::{DCP, PLAIN, TORCH};

    #[test]
    fn of_several_ways_the_best_median_counts() -> Result<(), Fault> {
        let (mut slow, mut fast) = ([3.0, 3.0, 3.0].into_iter(), [9.0, 2.0, 2.0].into_iter());
        let mut turns = Turns::new(3);
        turns.add(PLAIN, "slow", || Ok(Used::time(slow.next().ok_or("no more turns")?)));
        turns.add(PLAIN, "fast", || Ok(Used::time(fast.next().ok_or("no more turns")?)));
        let taken = turns.take()?;
        for figures in [taken.seconds(), taken.rates(6_000_000_000)] {
            assert_eq!((figures.len(), figures[0].way.as_str()), (1, "fast"));
            assert_eq!(figures[0].other_ways.len(), 1);
        }
        assert_eq!(taken.seconds()[0].median, 2.0);
        assert_eq!(taken.rates(6_000_000_000)[0].median, 3.0);
        assert_eq!(taken.rates(6_000_000_000)[0].other_ways, [("slow".to_owned(), 2.0)]);
        Ok(())
    }

    #[test]
    fn nobody_always_comes_after_the_same_one() {
        let orders: Vec<_> = (0..3).map(|round| order(round, 7)).collect();
        for contestant in 0..7 {
            let before = orders.iter().map(|order| {
                let place = order.iter().position(|&other| other == contestant);
                place.and_then(|place| place.checked_sub(1)).map(|place| order[place])
            });
            let before: HashSet<_> = before.collect();
            assert!(before.len() > 1, "{contestant} in {orders:?}");
        }
    }

    #[test]
    fn a_guest_that_fails_leaves_and_others_stay() -> Result<(), Fault> {
        let mut turns = Turns::new(2);
        turns.add_guest(TORCH, "", || Err("it has no file system".into()));
        turns.add(DCP, "", || Ok(Used::time(1.0)));
        let figures = turns.take()?.seconds();
        assert_eq!(figures.iter().map(|figure| (figure.contestant, figure.runs.len())).collect::<Vec<_>>(), [(DCP, 2)]);
        Ok(())
    }

    #[test]
    fn who_is_no_guest_and_fails_ends_it() {
        let mut turns = Turns::new(2);
        turns.add(DCP, "", || Err("the disk is full".into()));
        assert_eq!(turns.take().err().map(|why| why.to_string()), Some("dcp : the disk is full".to_owned()));
    }
}
