//! Whatever becomes of whichever request: a save ends in a whole checkpoint, or in an error with the old one as it was; a load in what was
//! saved, or in an error.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dcp::{Error, StorageError, Store};
use dcp_s3::Traffic;
use dcp_tests::{Case, Fault, Place, Request, block_on};

use super::sample::{Form, sample};
use super::{Server, place};

macro_rules! for_each_fault {
    ($($name:ident: $fault:expr;)*) => {$(
        #[test]
        #[ignore = "needs an S3 server: DCP_TEST_S3"]
        fn $name() {
            each_request_of_a_save_meets($fault);
            each_request_of_a_load_meets($fault);
        }
    )*};
}

for_each_fault! {
    too_many_requests: Fault::Status(429);
    internal_errors: Fault::Status(500);
    slow_down: Fault::Status(503);
    resets: Fault::Reset;
    servers_that_are_gone: Fault::Gone;
    lost_answers: Fault::LostAnswer;
    answers_that_are_reset_half_way: Fault::ResetHalfWay;
    answers_that_are_cut_half_way: Fault::CutHalfWay;
    stalled_answers: Fault::Stalled;
}

fn each_request_of_a_save_meets(fault: Fault) {
    let server = Server::s3();
    let proxy = server.proxy();
    let (old, new) = (sample(6, 8, 1), sample(6, 8, 2));
    for form in Form::ALL {
        for number in 0.. {
            let url = server.fresh();
            form.save(&old, &place(&url)).expect("the old one is saved");
            proxy.reset().expect("listens");
            proxy.inject(fault, move |request, _| request == number);
            let saved = form.save(&new, &server.through(&proxy, &url, traffic(fault)));
            let met = proxy.faults() > 0;
            proxy.reset().expect("listens");
            assert_outcome(&saved.map(drop), &old, &new, &place(&url), &format!("{form:?}, request {number}"));
            if !met {
                assert!(number > 5, "a save of {form:?} takes more than {number} requests");
                break;
            }
        }
    }
}

fn each_request_of_a_load_meets(fault: Fault) {
    let server = Server::s3();
    let proxy = server.proxy();
    let case = sample(6, 8, 3);
    for form in Form::ALL {
        let url = server.fresh();
        form.save(&case, &place(&url)).expect("saves");
        for number in 0.. {
            proxy.reset().expect("listens");
            proxy.inject(fault, move |request, _| request == number);
            // What is loaded is compared, or this panics.
            let loaded = case.load(&server.through(&proxy, &url, traffic(fault)));
            let met = proxy.faults() > 0;
            match loaded {
                Ok(_) if !met => {
                    assert!(number > 1, "a load of {form:?} takes more than {number} requests");
                    break;
                }
                Ok(_) => assert_ne!(fault, Fault::Gone, "{form:?}, request {number}: nobody is there to load from"),
                Err(error) => assert!(met && is_clear(&error), "{form:?}, request {number}: {error:?}"),
            }
        }
    }
}

/// A fault that passes is not even seen: the request is made again.
#[test]
#[ignore = "needs an S3 server: DCP_TEST_S3"]
fn what_passes_is_tried_again() {
    let server = Server::s3();
    let proxy = server.proxy();
    let case = sample(6, 8, 4);
    for fault in Fault::ALL.into_iter().filter(|fault| !matches!(fault, Fault::Gone | Fault::Stalled)) {
        let url = server.fresh();
        // Each third request, never the same one twice in a row.
        proxy.reset().expect("listens");
        proxy.inject(fault, |number, _| number % 3 == 1);
        let through = server.through(&proxy, &url, traffic(fault));
        Form::Native.save(&case, &through).unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        case.load(&through).unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert!(proxy.faults() > 3, "{fault:?}");
    }
}

/// The server has published the index, but nobody was told.
#[test]
#[ignore = "needs an S3 server: DCP_TEST_S3"]
fn a_lost_answer_to_the_index_is_looked_into() {
    let server = Server::s3();
    let proxy = server.proxy();
    for form in Form::ALL {
        let url = server.fresh();
        let (old, new) = (sample(6, 8, 5), sample(6, 8, 6));
        for case in [&old, &new] {
            proxy.reset().expect("listens");
            proxy.inject(Fault::LostAnswer, is_index);
            let saved = form.save(case, &server.through(&proxy, &url, traffic(Fault::LostAnswer)));
            saved.unwrap_or_else(|error| panic!("{form:?}: {error}"));
            assert!(proxy.faults() > 0, "{form:?}: {:?}", proxy.requests());
            case.load(&place(&url)).expect("the new one is there");
        }
    }
}

/// The server has published the index, and nobody can be told any more.
#[test]
#[ignore = "needs an S3 server: DCP_TEST_S3"]
fn what_cannot_be_known_is_said_to_be_unknown() {
    let server = Server::s3();
    let proxy = server.proxy();
    let (url, case) = (server.fresh(), sample(6, 8, 7));
    let published = Arc::new(AtomicBool::new(false));
    let was_published = Arc::clone(&published);
    proxy.inject(Fault::LostAnswer, move |number, request| {
        let publishes = is_index(number, request);
        published.fetch_or(publishes, Ordering::SeqCst);
        publishes
    });
    // Whoever looks at the index afterwards gets no answer either.
    proxy.inject(Fault::Reset, move |_, request| {
        was_published.load(Ordering::SeqCst) && request.target.contains("/index.dcp")
    });
    let saved = Form::Native.save(&case, &server.through(&proxy, &url, traffic(Fault::Reset)));
    assert!(
        matches!(&saved, Err(Error::Storage(error)) if matches!(**error, StorageError::CommitUnknown { .. })),
        "{saved:?}"
    );
    case.load(&place(&url)).expect("it took effect");
}

/// After a save that is given up nothing is left, neither objects nor uploads, of which some had several parts.
#[test]
#[ignore = "needs an S3 server: DCP_TEST_S3"]
fn a_save_that_is_given_up_leaves_nothing() {
    let server = Server::s3();
    let proxy = server.proxy();
    // 12 MiB for each rank.
    let case = sample(6, 1 << 20, 8);
    let url = server.fresh();
    proxy.inject(Fault::Status(503), |_, request| {
        // The second part of either upload: the first one has gone up, or goes up.
        request.method == "PUT" && request.target.contains("partNumber=2")
    });
    let error = Form::Native.save(&case, &server.through(&proxy, &url, traffic(Fault::Status(503))));
    assert!(is_clear(&error.expect_err("cannot be written")));
    let requests = proxy.requests();
    assert!(proxy.faults() > 0, "it has several parts: {requests:?}");
    let store = place(&url);
    let (listed, unfinished) = block_on(async { (store.list(None).await, store.unfinished().await) });
    // Where the server cannot be asked for uploads the claim stays until it expires.
    let objects = listed.expect("lists").into_iter().filter(|object| !object.path.as_str().starts_with(".dcp-claim-"));
    assert_eq!(objects.collect::<Vec<_>>(), []);
    assert_eq!(unfinished.unwrap_or_default(), []);
    // The server cannot be asked for uploads: its folder has them under their ids.
    let uploads: BTreeSet<&str> = requests.iter().filter_map(upload_id).collect();
    assert!(!uploads.is_empty(), "uploads have ids: {requests:?}");
    let root = std::env::var_os("DCP_TEST_S3_ROOT").expect("DCP_TEST_S3_ROOT is the folder of s3s-fs");
    let files = std::fs::read_dir(root).expect("a folder").map(|file| file.expect("a file").file_name());
    let left = files.filter(|file| uploads.iter().any(|id| file.to_string_lossy().contains(id)));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<OsString>::new());
}

fn upload_id(request: &Request) -> Option<&str> {
    let query = request.target.split_once('?')?.1;
    query.split('&').find_map(|pair| pair.strip_prefix("uploadId="))
}

/// Either the save took effect, or the old checkpoint is as it was.
fn assert_outcome(saved: &Result<(), Error>, old: &Case, new: &Case, place: &Place, what: &str) {
    let is = |case: &Case| catch_unwind(AssertUnwindSafe(|| case.load(place))).is_ok_and(|loaded| loaded.is_ok());
    match saved {
        Ok(()) => drop(new.load(place).unwrap_or_else(|error| panic!("{what}: saved, but {error}"))),
        Err(Error::Storage(error)) if matches!(**error, StorageError::CommitUnknown { .. }) => {
            assert!(is(old) || is(new), "{what}: {error}, and neither is there");
        }
        Err(error) => {
            assert!(is_clear(error), "{what}: {error:?}");
            drop(old.load(place).unwrap_or_else(|lost| panic!("{what}: {error}, and the old one is lost: {lost}")));
        }
    }
}

/// An error that says what could not be done, and where.
fn is_clear(error: &Error) -> bool {
    match error {
        Error::Storage(error) => matches!(
            **error,
            StorageError::GaveUp { .. } | StorageError::Io { .. } | StorageError::CommitUnknown { .. }
        ),
        // That of another rank.
        Error::Collective(_) => true,
        _ => false,
    }
}

fn is_index(_: usize, request: &Request) -> bool {
    let object = request.target.split('?').next().unwrap_or_default();
    request.method == "PUT" && (object.ends_with("/index.dcp") || object.ends_with("/.metadata"))
}

/// As much patience as a fault needs that passes. What stalls is not let go in these tests, so that the client must tire of it.
fn traffic(fault: Fault) -> Traffic {
    let stall = if fault == Fault::Stalled { Duration::from_millis(300) } else { Duration::from_secs(60) };
    let attempts = if fault == Fault::Gone { 2 } else { 4 };
    let deadline = if fault == Fault::Stalled { Duration::from_secs(2) } else { Duration::from_secs(300) };
    Traffic::default().part_size(Traffic::SMALLEST_PART).attempts(attempts).stall(stall).deadline(deadline)
}
