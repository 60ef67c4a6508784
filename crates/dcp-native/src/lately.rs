//! What was found out lately, and may be asked for again.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Things by key, up to a size altogether.
pub(crate) struct Lately<K, V> {
    known: Mutex<Known<K, V>>,
    most: usize,
}

struct Known<K, V> {
    by_key: HashMap<K, Arc<V>>,
    size: usize,
}

impl<K: Eq + Hash, V> Lately<K, V> {
    /// At most so much is remembered, or else one thing alone.
    pub(crate) fn new(most: usize) -> Self {
        Self { known: Mutex::new(Known { by_key: HashMap::new(), size: 0 }), most }
    }

    pub(crate) fn get(&self, key: &K) -> Option<Arc<V>> {
        self.lock().by_key.get(key).cloned()
    }

    /// Something of this size, unless it is known. If there is no room for it, all else is forgotten.
    pub(crate) fn remember(&self, key: K, value: &Arc<V>, size: usize) {
        let mut known = self.lock();
        if known.by_key.contains_key(&key) {
            return;
        }
        if known.size + size > self.most {
            *known = Known { by_key: HashMap::new(), size: 0 };
        }
        known.by_key.insert(key, Arc::clone(value));
        known.size += size;
    }

    fn lock(&self) -> MutexGuard<'_, Known<K, V>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_is_remembered_at_a_time() {
        let lately = Lately::new(8);
        let holds = || (0..9).filter(|number| lately.get(number).is_some()).collect::<Vec<_>>();
        for number in 0..4 {
            lately.remember(number, &Arc::new(()), 2);
        }
        assert_eq!(holds(), [0, 1, 2, 3]);
        // Once more it takes no more room.
        lately.remember(3, &Arc::new(()), 2);
        assert_eq!(holds(), [0, 1, 2, 3]);
        lately.remember(4, &Arc::new(()), 2);
        lately.remember(5, &Arc::new(()), 2);
        assert_eq!(holds(), [4, 5]);
        // One that is too large by itself is remembered alone, for who asks for its items one by one.
        lately.remember(6, &Arc::new(()), 20);
        assert_eq!(holds(), [6]);
    }
}
