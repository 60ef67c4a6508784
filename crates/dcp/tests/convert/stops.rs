//! Conversions that are stopped.

use std::sync::Arc;

use dcp::crates::dcp_storage::conformance::{Fault, FaultStore, Faults};
use dcp::{Cancel, Converter, DcpFormat, Error, MemoryStore};

use crate::support::{Place, contents, small};

/// At whatever operation on source or destination somebody asks: all is there, or nothing.
#[test]
fn who_is_asked_to_stop_leaves_nothing() {
    let source = small();
    for memory in [0, Converter::MEMORY] {
        let convert = |from: Place, to: Place, cancel: &Cancel| {
            Converter::new().to(DcpFormat::new()).jobs(1).memory(memory).cancel(cancel.clone()).convert(from, to)
        };
        let log = Faults::none();
        let watched =
            |place: &Place, faults: &Faults| -> Place { Arc::new(FaultStore::new(Arc::clone(place), faults.clone())) };
        let place: Place = Arc::new(MemoryStore::new());
        convert(watched(&source, &log), watched(&place, &log), &Cancel::new()).expect("converts");
        let mut stopped = 0;
        for k in 0..log.count() {
            let (place, cancel): (Place, _) = (Arc::new(MemoryStore::new()), Cancel::new());
            let asking = cancel.clone();
            let faults = Faults::none().at(k, Fault::before(move || asking.cancel()));
            match convert(watched(&source, &faults), watched(&place, &faults), &cancel) {
                Err(Error::Cancelled) => {
                    assert!(contents(&*place).is_empty(), "asked at operation {k}");
                    stopped += 1;
                }
                // It had come to the commit.
                Ok(_) => assert!(contents(&*place).contains_key(".metadata"), "asked at operation {k}"),
                other => panic!("asked at operation {k}: {other:?}"),
            }
        }
        assert!(stopped > 10 && stopped < log.count(), "{stopped} of {}", log.count());
    }
}

#[test]
fn who_was_asked_before_begins_nothing() {
    let (place, cancel): (Place, _) = (Arc::new(MemoryStore::new()), Cancel::new());
    cancel.cancel();
    let outcome = Converter::new().cancel(cancel).convert(small(), Arc::clone(&place));
    assert!(matches!(outcome, Err(Error::Cancelled)), "{outcome:?}");
    assert!(contents(&*place).is_empty());
}
