//! What is saved on any mesh is loaded on any other.

use dcp::{Checkpoint, Saver, StateDict};
use dcp_tests::{block_on, cases};
use proptest::prelude::*;
use tokio::runtime::Builder;

use super::sample::{Form, sample};
use super::{Server, place};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]

    #[test]
    #[ignore = "needs an S3 server: DCP_TEST_S3"]
    fn save_and_load_over_a_bucket_is_the_identity(case in cases(8, false)) {
        let place = place(&Server::s3().fresh());
        Form::Native.save(&case, &place).expect("saves");
        case.load(&place).expect("loads");
    }
}

/// Files of several parts, of which as many are under way as may be.
#[test]
#[ignore = "needs an S3 server: DCP_TEST_S3"]
fn what_takes_several_parts_comes_back() {
    // 33 MiB in each file, more than four parts.
    let case = sample(66, 1 << 18, 9);
    for form in Form::ALL {
        let place = place(&Server::s3().fresh());
        form.save(&case, &place).expect("saves");
        case.load(&place).expect("loads");
        assert_eq!(block_on(place.unfinished()).expect("lists"), []);
    }
}

/// A task of a program's own runtime waits as any thread does, whichever runtime that is: the requests are made on another one.
#[test]
#[ignore = "needs an S3 server: DCP_TEST_S3"]
fn a_task_of_a_runtime_saves_and_loads() {
    let url = Server::s3().fresh();
    let round_trip = |name: &str| {
        let url = format!("{url}/{name}");
        let names: Vec<String> = (0..200).map(|number| format!("value.{number}")).collect();
        let state: StateDict<'_> = names.iter().map(String::as_str).zip(0..200i64).collect();
        move || {
            Saver::new().save_dict(&state, url.as_str()).expect("saves");
            let checkpoint = Checkpoint::open(url.as_str()).expect("opens");
            let values = names.iter().map(|name| checkpoint.value(name).expect("reads"));
            assert!(values.eq((0..200).map(dcp::Value::Int)));
        }
    };
    let one = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let here = round_trip("one");
    one.block_on(async { here() });
    let several = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let here = round_trip("several");
    several.block_on(async { here() });
    let on_a_worker = round_trip("worker");
    several.block_on(several.spawn(async move { on_a_worker() })).expect("no panic");
}
