//! A save that is given up leaves no trace, and nobody else's save is harmed.

use crate::conformance::check::{Checked, Must, equal};
use crate::conformance::plug::Plug;
use crate::conformance::plug::sample::{Sample, Saving, holds, lacks, save};

pub(super) async fn abort_leaves_nothing_visible(plug: &dyn Plug) -> Checked {
    for written in 0..=3 {
        let saving = partial(plug, 1, written, false).await?;
        saving.abort(true).await.must(&format!("abort after {written} ranks have written"))?;
        lacks(plug).await?;
    }
    Ok(())
}

pub(super) async fn abort_leaves_the_old_one(plug: &dyn Plug) -> Checked {
    save(plug, Sample::new(1), true).await?;
    for written in 0..=3 {
        let saving = partial(plug, 2, written, true).await?;
        saving.abort(true).await.must(&format!("abort after {written} ranks have written"))?;
        holds(plug, 1).await?;
    }
    Ok(())
}

pub(super) async fn abort_leaves_no_objects(plug: &dyn Plug) -> Checked {
    for written in 0..=3 {
        let before = objects(plug).await?;
        let saving = partial(plug, 1, written, false).await?;
        saving.abort(true).await.must(&format!("abort after {written} ranks have written"))?;
        equal(&format!("objects after an abort, {written} ranks having written"), objects(plug).await?, before)?;
    }
    Ok(())
}

pub(super) async fn abort_while_a_rank_writes(plug: &dyn Plug) -> Checked {
    let mut saving = partial(plug, 1, 1, false).await?;
    saving.abort(false).await.must("abort while ranks may still write")?;
    // One that has not heard of it.
    drop(saving.write(2).await);
    lacks(plug).await?;
    save(plug, Sample::new(2), false).await?;
    holds(plug, 2).await
}

pub(super) async fn save_after_an_abort(plug: &dyn Plug) -> Checked {
    partial(plug, 1, 2, false).await?.abort(true).await.must("abort")?;
    save(plug, Sample::new(2), false).await?;
    holds(plug, 2).await
}

pub(super) async fn abort_of_the_loser_leaves_the_winner(plug: &dyn Plug) -> Checked {
    let (loser, winner) = (partial(plug, 1, 3, false).await?, partial(plug, 2, 3, false).await?);
    beaten(&winner, &loser).await?;
    holds(plug, 2).await
}

pub(super) async fn abort_of_an_overwriting_loser_leaves_the_winner(plug: &dyn Plug) -> Checked {
    save(plug, Sample::new(1), true).await?;
    let (winner, loser) = (partial(plug, 2, 3, true).await?, partial(plug, 3, 3, true).await?);
    beaten(&winner, &loser).await?;
    holds(plug, 2).await
}

pub(super) async fn abort_after_finish_changes_nothing(plug: &dyn Plug) -> Checked {
    let saving = partial(plug, 1, 3, false).await?;
    saving.finish().await.must("finish")?;
    for ranks_stopped in [true, false] {
        // The coordinator may have lost the others after it had committed. Whether that is an error is not said.
        drop(saving.abort(ranks_stopped).await);
        holds(plug, 1).await?;
    }
    Ok(())
}

pub(super) async fn second_abort_leaves_the_next_save(plug: &dyn Plug) -> Checked {
    let first = partial(plug, 1, 2, false).await?;
    first.abort(true).await.must("abort")?;
    let mut second = partial(plug, 2, 1, false).await?;
    drop(first.abort(true).await);
    second.write(1).await.must("write_data")?;
    second.write(2).await.must("write_data")?;
    second.finish().await.must("finish")?;
    holds(plug, 2).await?;
    drop(first.abort(true).await);
    holds(plug, 2).await
}

/// One commits, then the other one cannot and gives up.
async fn beaten(winner: &Saving<'_>, loser: &Saving<'_>) -> Checked {
    winner.finish().await.must("finish of the one who is first")?;
    if loser.finish().await.is_ok() {
        return Err("both of two savers have committed".to_owned());
    }
    loser.abort(true).await.must("abort of the other one")
}

/// A save of which so many ranks have written.
async fn partial(plug: &dyn Plug, seed: u64, written: u32, overwrite: bool) -> Checked<Saving<'_>> {
    let mut saving = Saving::begin(plug, Sample::new(seed), overwrite).await.must("begin")?;
    for rank in 0..written {
        saving.write(rank).await.must(&format!("write_data of rank {rank}"))?;
    }
    Ok(saving)
}

async fn objects(plug: &dyn Plug) -> Checked<Vec<String>> {
    let store = plug.behind().ok_or("the plug has nothing behind it, and does not say that it lacks `objects`")?;
    let mut names: Vec<String> =
        store.list(None).await.must("list")?.into_iter().map(|object| object.path.into()).collect();
    names.extend(store.unfinished().await.must("unfinished")?.into_iter().map(|path| format!("unfinished {path}")));
    Ok(names)
}
