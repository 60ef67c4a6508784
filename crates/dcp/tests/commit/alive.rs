//! Others wait while the coordinator commits: it shows that it is alive.

use std::sync::atomic::{AtomicUsize, Ordering};

use dcp_storage::Io;

use super::support::{Place, save};
use super::zombies::Zombie;

#[test]
fn a_commit_tells_of_every_object() {
    for place in Place::each() {
        save(place.open(), 1, true).expect("saved");
        let replaced = place.ours().iter().filter(|name| name.ends_with(".distcp")).count();
        assert!(replaced > 1, "several files will be removed");
        let mut saver = Zombie::rise(&place);
        saver.write(0);
        saver.write(1);
        let told = AtomicUsize::new(0);
        let progress = |bytes| {
            assert!(bytes > 0, "it would not be seen");
            told.fetch_add(1, Ordering::Relaxed);
        };
        saver.finish_with(&Io::new().expect("threads").with_progress(&progress)).expect("committed");
        assert!(told.load(Ordering::Relaxed) > replaced, "the index, and what it replaces");
    }
}
