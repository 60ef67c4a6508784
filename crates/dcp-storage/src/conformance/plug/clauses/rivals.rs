//! Of savers that race for one place one wins, and the others are told.

use std::sync::Barrier;
use std::thread;

use crate::conformance::block_on;
use crate::conformance::check::{Checked, Must, equal};
use crate::conformance::plug::Plug;
use crate::conformance::plug::sample::{Sample, Saving, holds, save, try_save};

pub(super) async fn existing_one_is_not_replaced_unasked(plug: &dyn Plug) -> Checked {
    save(plug, Sample::new(1), false).await?;
    if try_save(plug, Sample::new(2), false).await.is_ok() {
        return Err("a checkpoint was replaced without permission".to_owned());
    }
    holds(plug, 1).await
}

pub(super) async fn one_of_two_first_savers_wins(plug: &dyn Plug) -> Checked {
    rivals(plug, false).await
}

pub(super) async fn one_of_two_overwriting_savers_wins(plug: &dyn Plug) -> Checked {
    save(plug, Sample::new(1), true).await?;
    rivals(plug, true).await?;
    // A later one has seen the winner: it may.
    save(plug, Sample::new(4), true).await?;
    holds(plug, 4).await
}

/// Two have begun; each writes, and one is done before the other goes on.
pub(super) async fn overwriting_savers_do_not_write_to_the_same_objects(plug: &dyn Plug) -> Checked {
    save(plug, Sample::new(1), true).await?;
    let mut first = Saving::begin(plug, Sample::new(2), true).await.must("begin")?;
    let mut second = Saving::begin(plug, Sample::new(3), true).await.must("begin beside another save")?;
    first.write(0).await.must("write_data")?;
    second.write(0).await.must("write_data beside another save")?;
    first.write(1).await.must("write_data")?;
    first.write(2).await.must("write_data")?;
    first.finish().await.must("finish")?;
    holds(plug, 2).await?;
    // It may be told at once or at the end.
    let late = async {
        second.write(1).await?;
        second.write(2).await?;
        second.finish().await
    };
    if late.await.is_ok() {
        return Err("a saver that began before the last commit has committed".to_owned());
    }
    holds(plug, 2).await
}

pub(super) async fn racing_finishes_have_one_winner(plug: &dyn Plug) -> Checked {
    let mut savers = Vec::new();
    for seed in 2..6 {
        let mut saving = Saving::begin(plug, Sample::new(seed), false).await.must("begin beside other saves")?;
        saving.write_all().await.must("write_data beside other saves")?;
        savers.push((seed, saving));
    }
    let start = Barrier::new(savers.len());
    let winners: Vec<u64> = thread::scope(|scope| {
        let finish = |(seed, saving): &(u64, Saving<'_>)| {
            start.wait();
            block_on(saving.finish()).is_ok().then_some(*seed)
        };
        let threads: Vec<_> = savers.iter().map(|saver| scope.spawn(move || finish(saver))).collect();
        threads.into_iter().filter_map(|thread| thread.join().expect("a saver panicked")).collect()
    });
    let [winner] = winners[..] else { return Err(format!("one of four should commit, but {winners:?} did")) };
    holds(plug, winner).await
}

async fn rivals(plug: &dyn Plug, overwrite: bool) -> Checked {
    let mut first = Saving::begin(plug, Sample::new(2), overwrite).await.must("begin")?;
    let mut second = Saving::begin(plug, Sample::new(3), overwrite).await.must("begin beside another save")?;
    first.write_all().await.must("write_data")?;
    second.write_all().await.must("write_data beside another save")?;
    // Whoever began last commits first.
    let committed = [second.finish().await.is_ok(), first.finish().await.is_ok()];
    equal("whether the two have committed", committed, [true, false])?;
    holds(plug, 3).await
}
