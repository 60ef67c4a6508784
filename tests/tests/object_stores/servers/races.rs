//! Several savers, one name.

use std::sync::Barrier;
use std::thread;

use dcp::{Error, StorageError};
use dcp_s3::Traffic;

use super::sample::{Form, sample};
use super::{Server, place};

/// Two savers at once, where there is nothing yet: what is there is whole, and who is told that it lost has not written it.
#[test]
#[ignore = "needs an S3 server: DCP_TEST_S3"]
fn of_two_savers_one_wins_and_the_other_is_told() {
    let server = Server::s3();
    let proxy = server.proxy();
    for round in 0..8 {
        for form in Form::ALL {
            let url = server.fresh();
            let cases = [sample(6, 8, 2 * round), sample(6, 8, 2 * round + 1)];
            let start = Barrier::new(2);
            let outcomes = thread::scope(|scope| {
                let save = |case| {
                    let place = server.through(&proxy, &url, Traffic::default());
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        form.save(case, &place)
                    })
                };
                let savers = cases.each_ref().map(save);
                savers.map(|saver| saver.join().expect("no saver panics"))
            });
            let won: Vec<_> = cases.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok()).collect();
            for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
                assert!(is_told(error), "{form:?}: {error:?}");
            }
            // Both have won if one came after the other; the later one's is there.
            let loaded = won.iter().filter(|(case, _)| {
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case.load(&place(&url))))
                    .is_ok_and(|loaded| loaded.is_ok())
            });
            assert!(!won.is_empty(), "{form:?}: nobody won: {outcomes:?}");
            assert_eq!(loaded.count(), 1, "{form:?}: {outcomes:?}");
        }
    }
}

fn is_told(error: &Error) -> bool {
    match error {
        Error::Storage(error) => matches!(
            **error,
            StorageError::PreconditionFailed { .. } | StorageError::Exists { .. } | StorageError::TakenOver { .. }
        ),
        Error::Collective(_) => true,
        _ => false,
    }
}
