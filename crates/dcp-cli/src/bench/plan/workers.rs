//! The work of many ranks on few cores.

use std::panic::resume_unwind;
use std::thread;

use crate::failure::Failure;

/// So many ranks are at work at a time, so that not all have their states in memory.
pub(super) const AT_A_TIME: u32 = 64;

/// Does the work of each rank with what it has; the results are in the same order.
pub(super) fn for_each_rank<I: Send, T: Send>(
    ranks: Vec<I>,
    work: impl Fn(I) -> Result<T, Failure> + Sync,
) -> Result<Vec<T>, Failure> {
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let (share, count) = (ranks.len().div_ceil(threads).max(1), ranks.len());
    let mut ranks = ranks.into_iter();
    let shares: Vec<Vec<I>> = (0..threads).map(|_| ranks.by_ref().take(share).collect()).collect();
    thread::scope(|scope| {
        let work = &work;
        let on_thread = |share: Vec<I>| scope.spawn(move || share.into_iter().map(work).collect::<Result<Vec<T>, _>>());
        let workers: Vec<_> = shares.into_iter().map(on_thread).collect();
        let mut done = Vec::with_capacity(count);
        for worker in workers {
            done.append(&mut worker.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        }
        Ok(done)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rank_works_once_and_in_order() {
        for count in [0, 1, 2, 7, 100] {
            let ranks: Vec<u32> = (3..3 + count).collect();
            assert_eq!(for_each_rank(ranks.clone(), Ok).expect("works"), ranks);
        }
        let refuse = |rank| if rank == 5 { Err(Failure::Impossible("five".into())) } else { Ok(rank) };
        assert!(matches!(for_each_rank((0..9).collect(), refuse), Err(Failure::Impossible(why)) if why == "five"));
    }
}
