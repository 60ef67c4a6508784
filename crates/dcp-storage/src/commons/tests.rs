use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use dcp_types::Digest;
use futures_util::FutureExt;
use futures_util::future::join_all;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use tokio::task::yield_now;
use tokio::time::Instant;

use super::part::Next;
use super::{Commons, Errand, Lent, Member, Place, Turn, Want};
use crate::{BlockChecks, Checksum, StorePath};

const MOST: u64 = Commons::MEMORY / Commons::PART;

fn member(commons: &Arc<Commons>) -> Arc<Member> {
    Member::new(commons, "here".into(), Digest::of(b"index"), 1)
}

/// A wish for bytes of a part, by number, all of which would be read alone.
fn want(member: &Arc<Member>, part: u64, range: Range<u64>) -> Want {
    let payload = member.payload(&file(), 0, 1 << 40, None);
    let (place, offset) = (Place { payload, number: part }, part * Commons::PART);
    let range = offset + range.start..offset + range.end;
    let alone = range.end - range.start;
    Want::new(member, place, range, alone)
}

fn file() -> StorePath {
    StorePath::parse("data").expect("a name")
}

async fn errand(want: Want) -> Errand {
    match want.turn().await {
        Turn::Read(errand) => errand,
        other => panic!("{other:?}"),
    }
}

async fn taken(want: Want) -> Arc<Lent> {
    match want.turn().await {
        Turn::Take(lent) => lent,
        other => panic!("{other:?}"),
    }
}

/// Reads nothing but the places of the bytes, from the part's first on.
fn read(mut errand: Errand) -> Arc<Lent> {
    let (offset, memory) = errand.room();
    (offset..).zip(memory).for_each(|(at, byte)| *byte = at as u8);
    errand.done(0)
}

fn assert_is_empty(commons: &Commons) {
    let parts = commons.lock();
    assert_eq!((parts.wanted(), parts.unused()), (0, true));
}

#[tokio::test(start_paused = true)]
async fn one_reads_for_all_who_want_it() {
    let commons = Arc::new(Commons::new());
    let [first, second, third] = [0..100, 50..200, 20..30].map(|range| want(&member(&commons), 0, range));
    let mut errand = errand(first).await;
    assert_eq!((errand.room().0, errand.room().1.len()), (0, 200));
    let mut second = Box::pin(second.turn());
    assert!((&mut second).now_or_never().is_none());
    let lent = read(errand);
    assert_eq!(lent.bytes(10..13), [10, 11, 12]);
    let Some(Turn::Take(same)) = (&mut second).now_or_never() else { panic!("it is there") };
    assert_eq!(same.bytes(198..200), [198, 199]);
    assert_eq!(taken(third).await.bytes(20..21), [20]);
    drop((lent, same, second));
    assert_is_empty(&commons);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_else_wants_is_read_alone() {
    let commons = Arc::new(Commons::new());
    let one = member(&commons);
    // Two ranks at the two ends of a part: all of it would be more than the two.
    let wants = [want(&one, 0, 0..100), want(&one, 1, 0..100), want(&member(&commons), 1, 900..1000)];
    for want in wants {
        assert!(matches!(want.turn().await, Turn::Alone));
    }
    assert_is_empty(&commons);
}

/// Else who comes in that moment would read for it as well, and more than the two by themselves.
#[test]
fn who_goes_alone_does_not_count_from_then_on() {
    let commons = Arc::new(Commons::new());
    let mut alone = want(&member(&commons), 0, 0..100);
    assert!(matches!(alone.next(None), Next::GoAlone));
    assert_is_empty(&commons);
    let mut late = want(&member(&commons), 0, 50..140);
    assert!(matches!(late.next(None), Next::GoAlone));
}

#[tokio::test(start_paused = true)]
async fn who_comes_late_for_more_reads_alone() {
    let commons = Arc::new(Commons::new());
    let [first, second] = [0..100, 0..100].map(|range| want(&member(&commons), 0, range));
    drop(read(errand(first).await));
    assert!(matches!(want(&member(&commons), 0, 50..101).turn().await, Turn::Alone));
    taken(want(&member(&commons), 0, 50..100)).await;
    taken(second).await;
    assert_is_empty(&commons);
}

#[tokio::test(start_paused = true)]
async fn what_one_gives_up_another_reads() {
    let commons = Arc::new(Commons::new());
    let [first, second, third] = [0..100, 0..100, 0..100].map(|range| want(&member(&commons), 0, range));
    let given_up = errand(first).await;
    let mut second = Box::pin(second.turn());
    assert!((&mut second).now_or_never().is_none());
    drop(given_up);
    let Some(Turn::Read(next)) = (&mut second).now_or_never() else { panic!("it is its turn") };
    drop((read(next), second));
    taken(third).await;
    assert_is_empty(&commons);
}

/// The last one who waits for another to read, or for memory, goes on when nobody else wants it any more.
#[tokio::test(start_paused = true)]
async fn who_is_left_alone_hears_of_it() {
    let commons = Arc::new(Commons::new());
    let [first, second, third] = [0..100, 0..100, 0..100].map(|range| want(&member(&commons), 0, range));
    let given_up = errand(first).await;
    let mut second = Box::pin(second.turn());
    assert!((&mut second).now_or_never().is_none());
    drop((given_up, third));
    assert!(matches!((&mut second).now_or_never(), Some(Turn::Alone)));
    drop(second);
    assert_is_empty(&commons);
}

/// Time passes by itself where nothing else can happen.
#[tokio::test(start_paused = true)]
async fn who_waits_for_nothing_goes_on_alone() {
    let commons = Arc::new(Commons::new());
    let patient = member(&commons);
    let [first, second, third] = [0..100, 0..100, 0..100].map(|range| want(&patient, 0, range));
    let stuck = errand(want(&member(&commons), 0, 0..100)).await;
    assert!(matches!(first.turn().await, Turn::Alone));
    assert!(matches!(second.turn().now_or_never(), Some(Turn::Alone)), "it has waited in vain before");
    drop(read(stuck));
    taken(third).await;
    assert_is_empty(&commons);
}

/// Many ranks have read a part each, which another one has not come to yet.
#[tokio::test(start_paused = true)]
async fn memory_is_bounded_and_used_again() {
    let commons = Arc::new(Commons::new());
    let late = member(&commons);
    let late_task = late.task();
    let ranks: Vec<_> = (0..MOST + 3).map(|_| member(&commons)).collect();
    let mut tasks: Vec<_> = ranks.iter().map(Member::task).collect();
    let mut wants = (0..).zip(&ranks).map(|(part, rank)| want(rank, part, 0..100));
    let mut late_wants = (0..MOST + 3).map(|part| want(&late, part, 0..100)).collect::<Vec<_>>().into_iter();
    for want in wants.by_ref().take(MOST as usize) {
        read(errand(want).await);
    }
    let mut next = Box::pin(wants.next().expect("three more").turn());
    assert!((&mut next).now_or_never().is_none(), "the late one will give some back");
    taken(late_wants.next().expect("the first")).await;
    let Some(Turn::Read(errand)) = (&mut next).now_or_never() else { panic!("there is memory again") };
    read(errand);
    let [mut one, mut other] = [(); 2].map(|()| Box::pin(wants.next().expect("two more").turn()));
    tasks.drain(..tasks.len() - 2);
    for waiting in [&mut one, &mut other] {
        assert!(waiting.now_or_never().is_none(), "the late one is at work still, or will be");
    }
    drop(late_task);
    for waiting in [&mut one, &mut other] {
        assert!(matches!(waiting.now_or_never(), Some(Turn::Alone)), "nobody is left to give any back");
    }
}

/// Who is far ahead leaves their share to those who come behind.
#[tokio::test(start_paused = true)]
async fn nobody_takes_all_the_memory() {
    let commons = Arc::new(Commons::new());
    let (ahead, behind) = (member(&commons), member(&commons));
    let _both_at_work = [ahead.task(), behind.task()];
    let wants = (0..=MOST / 2).map(|part| (want(&behind, part, 0..100), want(&ahead, part, 0..100)));
    let (mut of_behind, of_ahead): (Vec<_>, Vec<_>) = wants.unzip();
    let mut of_ahead = of_ahead.into_iter().rev();
    for want in of_ahead.by_ref().take(MOST as usize / 2) {
        read(errand(want).await);
    }
    let mut first = Box::pin(of_ahead.next().expect("one more").turn());
    assert!((&mut first).now_or_never().is_none(), "what is left is for the other");
    read(errand(of_behind.remove(0)).await);
    assert!(matches!((&mut first).now_or_never(), Some(Turn::Take(_))));
}

/// Nobody is given what is another payload, another checkpoint or was not compared with the same checksums.
#[test]
fn payloads_are_kept_apart() {
    let commons = Arc::new(Commons::new());
    let checks = |kind, block, table: &[u32]| BlockChecks { kind, block, table: table.into(), entries: 1..3 };
    let some = checks(Checksum::Crc32, 10, &[0, 1, 2]);
    let all = [
        member(&commons).payload(&file(), 0, 100, None),
        member(&commons).payload(&StorePath::parse("other").expect("a name"), 0, 100, None),
        member(&commons).payload(&file(), 1, 100, None),
        member(&commons).payload(&file(), 0, 101, None),
        member(&commons).payload(&file(), 0, 100, Some(&some)),
        member(&commons).payload(&file(), 0, 100, Some(&checks(Checksum::Crc32c, 10, &[0, 1, 2]))),
        member(&commons).payload(&file(), 0, 100, Some(&checks(Checksum::Crc32, 11, &[0, 1, 2]))),
        member(&commons).payload(&file(), 0, 100, Some(&checks(Checksum::Crc32, 10, &[0, 1, 3]))),
        Member::new(&commons, "there".into(), Digest::of(b"index"), 1).payload(&file(), 0, 100, None),
        Member::new(&commons, "here".into(), Digest::of(b"another"), 1).payload(&file(), 0, 100, None),
    ];
    assert_eq!(all, std::array::from_fn(|number| number as u64));
    let same = checks(Checksum::Crc32, 10, &[7, 1, 2, 8]);
    assert_eq!(member(&commons).payload(&file(), 0, 100, Some(&same)), all[4]);
}

/// What a task of a rank wants of each part, and how it goes about it.
#[derive(Clone, Debug)]
struct Work {
    wanted: BTreeMap<u64, Range<u64>>,
    /// How often others go on before it begins, and while it reads or takes.
    waits: [usize; 2],
    /// After so many parts it fails.
    fails: usize,
}

fn work() -> impl Strategy<Value = Work> {
    let range = (0..300u64, 1..=700u64).prop_map(|(from, length)| from..from + length);
    let wanted = btree_map(0..3 * MOST, range, 0..2 * MOST as usize);
    let fails = prop_oneof![5 => Just(usize::MAX), 1 => 0..MOST as usize];
    (wanted, [0..50usize, 0..5], fails).prop_map(|(wanted, waits, fails)| Work { wanted, waits, fails })
}

/// A rank: its tasks, in the order in which they lie, and its threads.
fn rank() -> impl Strategy<Value = (Vec<Work>, usize)> {
    let in_order = |mut tasks: Vec<Work>| {
        tasks.sort_by_key(|work| work.wanted.keys().next().copied());
        tasks
    };
    (vec(work(), 1..4).prop_map(in_order), 1..3usize)
}

/// Goes through its tasks as the engine does: none is begun after one has failed. Returns how many bytes it read.
async fn go_through(commons: &Arc<Commons>, (tasks, threads): &(Vec<Work>, usize)) -> u64 {
    let member = Member::new(commons, "here".into(), Digest::of(b"index"), *threads);
    let announced = tasks.iter().map(|work| {
        let wants = work.wanted.iter().map(|(part, range)| want(&member, *part, range.clone()));
        (work, wants.collect::<Vec<_>>(), member.task())
    });
    let queue: RefCell<VecDeque<_>> = RefCell::new(announced.collect());
    let next = || queue.borrow_mut().pop_front();
    let thread = async || {
        let mut read = 0;
        while let Some((work, wants, _pending)) = next() {
            let has_failed = wants.len() > work.fails;
            read += task(work, wants).await;
            if has_failed {
                queue.take();
            }
        }
        read
    };
    join_all((0..*threads).map(|_| thread())).await.into_iter().sum()
}

async fn task(work: &Work, wants: Vec<Want>) -> u64 {
    let [begins, reads] = work.waits;
    let wait = async |times: usize| {
        for _ in 0..times {
            yield_now().await;
        }
    };
    wait(begins).await;
    let mut total = 0;
    for want in wants.into_iter().take(work.fails) {
        let range = want.range();
        let turn = want.turn().await;
        wait(reads).await;
        match turn {
            Turn::Alone => total += range.end - range.start,
            Turn::Take(lent) => assert_eq!(lent.bytes(range.clone())[0], range.start as u8),
            Turn::Read(mut errand) => {
                total += errand.room().1.len() as u64;
                assert_eq!(read(errand).bytes(range.clone())[0], range.start as u8);
            }
        }
    }
    total
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever ranks want, whoever fails: nobody waits for what does not come. Time passes only where all wait.
    #[test]
    fn somebody_always_goes_on(ranks in vec(rank(), 1..9)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let commons = Arc::new(Commons::new());
            let began = Instant::now();
            let read: u64 = join_all(ranks.iter().map(|rank| go_through(&commons, rank))).await.into_iter().sum();
            assert_eq!(began.elapsed().as_millis(), 0, "somebody lost patience");
            assert_is_empty(&commons);
            let works = || ranks.iter().flat_map(|(tasks, _)| tasks);
            let alone = |work: &Work| work.wanted.values().map(|range| range.end - range.start).sum::<u64>();
            let nobody_fails = works().all(|work| work.fails >= work.wanted.len());
            assert!(!nobody_fails || read <= works().map(alone).sum());
        });
    }
}
