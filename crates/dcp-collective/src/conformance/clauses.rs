//! One check for each clause of the contract on `Collective`.

use std::any::Any;
use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::harness::{Harness, Violation, ensure};
use crate::{CollectiveError, Exchange, StepError, Tag};

/// All ranks have the same size, each its own position below it, and distinct labels.
///
/// # Errors
///
/// When they do not.
pub fn positions_and_labels_are_distinct(harness: &Harness<'_>) -> Result<(), Violation> {
    harness.check("positions_and_labels_are_distinct", 3, |rank| {
        let (me, size) = (rank.rank(), rank.collective.size());
        ensure(size == 3, || format!("size is {size}, not 3"))?;
        ensure(me < size, || format!("position {me} of {size}"))?;
        let labels: HashSet<u32> = (0..size).map(|position| rank.collective.label(position)).collect();
        ensure(labels.len() == size, || format!("only {} labels for {size} ranks", labels.len()))?;
        let others = (0..size).filter(|&other| other != me);
        let tag_of = |sender: usize| [A, B, C][sender];
        for to in others.clone() {
            rank.send(to, tag_of(me), [me as u8])?;
        }
        others.into_iter().try_for_each(|from| rank.expect(from, tag_of(from), &[from as u8]))
    })
}

/// Sending to and receiving from a position that does not exist is [`CollectiveError::NoSuchRank`].
///
/// # Errors
///
/// When it is not.
pub fn positions_out_of_range_are_refused(harness: &Harness<'_>) -> Result<(), Violation> {
    harness.check("positions_out_of_range_are_refused", 2, |rank| {
        for position in [2, usize::MAX] {
            let sent = rank.collective.send(position, A, vec![1]);
            let refused = matches!(sent, Err(CollectiveError::NoSuchRank { .. }));
            ensure(refused, || format!("sending to position {position} of 2 gave {sent:?}"))?;
            let received = rank.collective.recv(position, A, Instant::now());
            let refused = matches!(received, Err(CollectiveError::NoSuchRank { .. }));
            ensure(refused, || format!("receiving from position {position} of 2 gave {received:?}"))?;
        }
        Ok(())
    })
}

/// Messages of one sender under one tag arrive in the order in which they were sent.
///
/// # Errors
///
/// When they do not.
pub fn messages_keep_their_order(harness: &Harness<'_>) -> Result<(), Violation> {
    harness.check("messages_keep_their_order", 2, |rank| {
        if rank.rank() == 1 {
            // So many that several are under way or lie there at once; then a word that all were sent.
            for number in 0..MANY {
                rank.send(0, A, number.to_le_bytes())?;
            }
            return rank.send(0, B, *b"all sent");
        }
        rank.recv(1, B)?;
        (0..MANY).try_for_each(|number| rank.expect(1, A, &number.to_le_bytes()))
    })
}

/// Messages under one tag are not seen under another, and can be received first, whichever bit the tags differ in.
///
/// # Errors
///
/// When they are, or cannot.
pub fn tags_are_kept_apart(harness: &Harness<'_>) -> Result<(), Violation> {
    harness.check("tags_are_kept_apart", 2, |rank| {
        let tags = || std::iter::once(0).chain((0..64).map(|bit| 1_u64 << bit));
        if rank.rank() == 1 {
            return tags().try_for_each(|tag| rank.send(0, Tag::new(tag), tag.to_le_bytes()));
        }
        let mut reversed: Vec<u64> = tags().collect();
        reversed.reverse();
        reversed.into_iter().try_for_each(|tag| rank.expect(1, Tag::new(tag), &tag.to_le_bytes()))
    })
}

/// Messages of different senders under one tag are told apart, and can be received in any order.
///
/// # Errors
///
/// When they are not, or cannot.
pub fn senders_are_kept_apart(harness: &Harness<'_>) -> Result<(), Violation> {
    harness.check("senders_are_kept_apart", 3, |rank| match rank.rank() {
        0 => {
            // Both are here before either is asked for.
            rank.recv(1, B)?;
            rank.recv(2, B)?;
            rank.expect(2, A, b"of 2")?;
            rank.expect(1, A, b"of 1")
        }
        me => {
            rank.send(0, A, format!("of {me}"))?;
            rank.send(0, B, *b"sent")
        }
    })
}

/// A message without a byte arrives, and is not taken for anything else.
///
/// # Errors
///
/// When it does not.
pub fn an_empty_message_arrives(harness: &Harness<'_>) -> Result<(), Violation> {
    harness.check("an_empty_message_arrives", 2, |rank| {
        if rank.rank() == 1 {
            rank.send(0, A, [])?;
            return rank.send(0, B, [1]);
        }
        rank.expect(1, B, &[1])?;
        rank.expect(1, A, &[])
    })
}

/// A message of many MiB arrives whole and unchanged.
///
/// # Errors
///
/// When it does not.
pub fn a_large_message_arrives_whole(harness: &Harness<'_>) -> Result<(), Violation> {
    harness.check("a_large_message_arrives_whole", 2, |rank| {
        // No power of two, and no period that a lost or doubled block could hide in.
        let large: Vec<u8> = (0..LARGE as u32 + 13).map(|i| (i.wrapping_mul(0x9e37_79b1) >> 24) as u8).collect();
        if rank.rank() == 1 { rank.send(0, A, large) } else { rank.expect(1, A, &large) }
    })
}

/// A rank may send to itself.
///
/// # Errors
///
/// When it may not.
pub fn a_message_to_oneself_arrives(harness: &Harness<'_>) -> Result<(), Violation> {
    for size in [1, 2] {
        harness.check("a_message_to_oneself_arrives", size, |rank| {
            rank.send(rank.rank(), A, *b"note")?;
            rank.expect(rank.rank(), A, b"note")
        })?;
    }
    Ok(())
}

/// Sending returns though nobody receives.
///
/// # Errors
///
/// When it does not.
pub fn sending_does_not_wait(harness: &Harness<'_>) -> Result<(), Violation> {
    harness.check("sending_does_not_wait", 2, |rank| {
        if rank.rank() == 1 {
            rank.send(0, A, vec![7; LARGE])?;
            return rank.send(0, B, *b"sent");
        }
        let sent = rank.try_recv(1, B);
        rank.recv(1, A)?; // frees a sender that waits
        let returned = sent.is_ok();
        ensure(returned, || "the sender of a large message did not get on before it was received".to_owned())
    })
}

/// Receiving ends at its deadline with [`CollectiveError::TimedOut`] that names the sender; a deadline in the past polls.
///
/// # Errors
///
/// When it does not.
pub fn receiving_ends_at_its_deadline(harness: &Harness<'_>) -> Result<(), Violation> {
    harness.check("receiving_ends_at_its_deadline", 2, |rank| {
        if rank.rank() == 1 {
            // Frees a receiver that misses its deadlines; one that keeps them says so here first.
            let kept = rank.try_recv(0, B).is_ok();
            rank.send(0, A, *b"late")?;
            return ensure(kept, || "the receiver was still waiting long after its deadline".to_owned());
        }
        let now = Instant::now();
        for until in [now.checked_sub(Duration::from_secs(1)).unwrap_or(now), now, now + Duration::from_millis(20)] {
            let received = rank.collective.recv(1, A, until);
            let label = rank.collective.label(1);
            let ended = matches!(received, Err(CollectiveError::TimedOut { rank }) if rank == label);
            ensure(ended, || format!("without a message, receiving gave {received:?}"))?;
            ensure(Instant::now() >= until, || "receiving gave up before its deadline".to_owned())?;
        }
        rank.send(1, B, *b"in time")?;
        let deadline = rank.deadline();
        loop {
            match rank.collective.recv(1, A, Instant::now()) {
                Ok(_) => return Ok(()),
                Err(CollectiveError::TimedOut { .. }) if Instant::now() < deadline => thread::yield_now(),
                other => return Err(format!("polling for a message that was sent gave {other:?}")),
            }
        }
    })
}

/// What a rank sent before it left arrives; only then it is [`CollectiveError::Gone`].
///
/// # Errors
///
/// When it is not so.
pub fn messages_outlive_their_sender(harness: &Harness<'_>) -> Result<(), Violation> {
    harness.check_departing("messages_outlive_their_sender", 2, |rank| {
        if rank.rank() == 1 {
            rank.send(0, A, *b"will")?;
            return rank.send(0, C, *b"codicil");
        }
        let under_b = rank.try_recv(1, B); // it is gone for those who wait for something else
        let gone = matches!(under_b, Err(CollectiveError::Gone { .. }));
        ensure(gone, || format!("receiving from a rank that left gave {under_b:?}"))?;
        rank.expect(1, A, b"will")?;
        rank.expect(1, C, b"codicil")
    })
}

/// Who waits for a rank that leaves learns it at once, as [`CollectiveError::Gone`] that names the rank.
///
/// # Errors
///
/// When it does not.
pub fn a_departure_wakes_receivers(harness: &Harness<'_>) -> Result<(), Violation> {
    harness.check_departing("a_departure_wakes_receivers", 3, |rank| {
        if rank.rank() == 2 {
            return Ok(());
        }
        let received = rank.try_recv(2, A);
        let label = rank.collective.label(2);
        let gone = matches!(received, Err(CollectiveError::Gone { rank, .. }) if rank == label);
        ensure(gone, || format!("waiting for a rank that left gave {received:?}"))
    })
}

/// A thread that waits in `recv` does not keep another thread of its rank from sending or receiving.
///
/// # Errors
///
/// When it does.
pub fn threads_do_not_hold_each_other_up(harness: &Harness<'_>) -> Result<(), Violation> {
    harness.check("threads_do_not_hold_each_other_up", 2, |rank| {
        // Two threads wait, each for its own message, and the second message comes only after the first was taken. Which
        // thread waits first is up to the scheduler, so the order changes: one that shuts the other out cannot be lucky
        // in every round.
        for round in 0..16 {
            if rank.rank() == 1 {
                let order = if round % 2 == 0 { [B, A] } else { [A, B] };
                for tag in order {
                    rank.send(0, tag, *b"take")?;
                    rank.expect(0, tag, b"taken")?;
                }
                continue;
            }
            let take = |tag| {
                rank.expect(1, tag, b"take")?;
                rank.send(1, tag, *b"taken")
            };
            thread::scope(|scope| {
                let threads = [A, B].map(|tag| scope.spawn(move || take(tag)));
                threads.map(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".to_owned())))
            })
            .into_iter()
            .collect::<Result<(), String>>()?;
        }
        Ok(())
    })
}

/// All ranks draw the same tags, and no tag twice.
///
/// # Errors
///
/// When they do not.
pub fn tags_agree_and_never_repeat(harness: &Harness<'_>) -> Result<(), Violation> {
    harness.check("tags_agree_and_never_repeat", 3, |rank| {
        let drawn: Vec<u64> = (0..MANY).map(|_| rank.collective.next_tag().get()).collect();
        let distinct: HashSet<&u64> = drawn.iter().collect();
        ensure(distinct.len() == drawn.len(), || "a tag was drawn twice".to_owned())?;
        let bytes: Vec<u8> = drawn.iter().flat_map(|tag| tag.to_le_bytes()).collect();
        // A tag that is not drawn here, so that ranks which disagree still find each other.
        if rank.rank() == 0 {
            rank.send(1, A, bytes.clone())?;
            rank.send(2, A, bytes)
        } else {
            let same = rank.recv(0, A)? == bytes;
            ensure(same, || "this rank drew other tags than rank 0".to_owned())
        }
    })
}

/// Closing a tag leaves the messages under other tags alone.
///
/// # Errors
///
/// When it does not.
pub fn closing_a_tag_spares_the_others(harness: &Harness<'_>) -> Result<(), Violation> {
    harness.check("closing_a_tag_spares_the_others", 2, |rank| {
        if rank.rank() == 1 {
            rank.send(0, A, *b"not read")?;
            rank.send(0, B, *b"kept")?;
            return rank.send(0, C, *b"sent");
        }
        rank.expect(1, C, b"sent")?;
        rank.collective.close(A);
        rank.expect(1, B, b"kept")
    })
}

/// What ranks have in common under a tag was offered under that tag.
///
/// # Errors
///
/// When it was not.
pub fn objects_in_common_keep_to_their_tag(harness: &Harness<'_>) -> Result<(), Violation> {
    harness.check("objects_in_common_keep_to_their_tag", 3, |rank| {
        let mut held: Vec<Arc<dyn Any + Send + Sync>> = Vec::new();
        for tag in [A, B, C] {
            let common = rank.collective.in_common(tag, Arc::new(tag));
            let offered = common.downcast_ref::<Tag>();
            ensure(offered == Some(&tag), || format!("what was offered under {offered:?} came back under {tag:?}"))?;
            held.push(common);
        }
        Ok(())
    })
}

/// The steps of an [`Exchange`] work.
///
/// # Errors
///
/// When they do not.
pub fn an_exchange_runs(harness: &Harness<'_>) -> Result<(), Violation> {
    harness.check("an_exchange_runs", 3, |rank| {
        let me = rank.rank();
        let steps = || {
            let mut exchange = Exchange::new(rank.collective, 1, rank.patience)?;
            let sum = exchange.all_reduce("sum", |_| Ok(me), |all: Vec<usize>, _| Ok(all.iter().sum::<usize>()))?;
            let next = exchange.reduce_scatter(
                "next",
                |_| Ok(me),
                |all: Vec<usize>, _| Ok([&all[1..], &all[..1]].concat()),
            )?;
            let told = exchange.broadcast("told", |_| Ok(me))?;
            exchange.barrier("end")?;
            exchange.finish();
            Ok::<_, StepError<Infallible>>((sum, next, told))
        };
        let result = steps().map_err(|error| format!("the steps failed: {error}"))?;
        ensure(result == (3, (me + 1) % 3, 1), || format!("the steps gave {result:?}"))
    })
}

const A: Tag = Tag::new(1 << 40);
const B: Tag = Tag::new((1 << 40) + 1);
const C: Tag = Tag::new((1 << 40) + 2);

/// Enough messages to overtake each other.
const MANY: u32 = 500;

/// More than transports keep in a buffer: bytes.
const LARGE: usize = 8 << 20;
