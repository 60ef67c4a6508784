//! What is saved on any mesh is loaded on any other.

use dcp_tests::{block_on, cases};
use proptest::prelude::*;

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
