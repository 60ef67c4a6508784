//! Two things at once.

use std::thread;

/// So many bytes take far longer than to start a thread.
pub(crate) const LARGE: usize = 4 << 20;

/// Does something on this thread, and something else beside it. `None` if there is no thread for that, or it has panicked.
pub(crate) fn beside<A: Send, B>(other: impl FnOnce() -> A + Send, this: impl FnOnce() -> B) -> (Option<A>, B) {
    thread::scope(|scope| {
        let other = thread::Builder::new().spawn_scoped(scope, other);
        let this = this();
        (other.ok().and_then(|other| other.join().ok()), this)
    })
}

/// What comes of each item, in their order. Half of it is done beside the other half.
pub(crate) fn in_halves<T: Sync, R: Send>(items: &[T], each: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (front, back) = items.split_at(items.len() / 2);
    let all = |items: &[T]| items.iter().map(&each).collect::<Vec<R>>();
    let (front_done, mut back_done) = beside(|| all(front), || all(back));
    let mut done = front_done.unwrap_or_else(|| all(front));
    done.append(&mut back_done);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_keep_their_order() {
        for count in 0..5u8 {
            let items: Vec<u8> = (0..count).collect();
            assert_eq!(in_halves(&items, |item| item + 1), (1..=count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_panics_beside_is_done_here() {
        let here = thread::current().id();
        let each = |item: &u8| {
            assert_eq!(thread::current().id(), here);
            *item
        };
        assert_eq!(in_halves(&[1, 2, 3], each), [1, 2, 3]);
    }
}
