//! What the ranks have in common for a while.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::Tag;

/// Objects by tag, for as long as some rank holds them.
#[derive(Debug, Default)]
pub(super) struct Offers(Mutex<HashMap<Tag, Weak<dyn Any + Send + Sync>>>);

impl Offers {
    /// The object that a rank holds under this tag; if there is none, the one offered.
    pub(super) fn get(&self, tag: Tag, offer: Arc<dyn Any + Send + Sync>) -> Arc<dyn Any + Send + Sync> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(object) = held.get(&tag).and_then(Weak::upgrade) {
            return object;
        }
        held.retain(|_, object| object.strong_count() > 0);
        held.insert(tag, Arc::downgrade(&offer));
        offer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(offers: &Offers, tag: u64, offer: u32) -> Arc<u32> {
        offers.get(Tag::new(tag), Arc::new(offer)).downcast().expect("all are numbers")
    }

    #[test]
    fn first_offer_is_for_all_while_somebody_holds_it() {
        let offers = Offers::default();
        let first = get(&offers, 1, 10);
        let second = get(&offers, 1, 20);
        assert_eq!((*first, *second, *get(&offers, 2, 30)), (10, 10, 30));
        drop(first);
        assert_eq!(*get(&offers, 1, 40), 10);
        drop(second);
        assert_eq!(*get(&offers, 1, 50), 50);
    }

    #[test]
    fn what_nobody_holds_is_forgotten() {
        let offers = Offers::default();
        for tag in 0..100 {
            get(&offers, tag, 0);
        }
        assert_eq!(offers.0.lock().expect("no panic").len(), 1);
    }
}
