//! The same over Azure.

use std::time::Duration;

use dcp_s3::Traffic;
use dcp_tests::{Fault, cases};
use proptest::prelude::*;

use super::sample::{Form, sample};
use super::{Server, place};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(6) })]

    #[test]
    #[ignore = "needs an Azure server: DCP_TEST_AZURE"]
    fn save_and_load_over_a_container_is_the_identity(case in cases(8, false)) {
        let place = place(&Server::azure().fresh());
        Form::Native.save(&case, &place).expect("saves");
        case.load(&place).expect("loads");
    }
}

#[test]
#[ignore = "needs an Azure server: DCP_TEST_AZURE"]
fn what_takes_several_blocks_comes_back() {
    let case = sample(66, 1 << 18, 9);
    for form in Form::ALL {
        let place = place(&Server::azure().fresh());
        form.save(&case, &place).expect("saves");
        case.load(&place).expect("loads");
    }
}

#[test]
#[ignore = "needs an Azure server: DCP_TEST_AZURE"]
fn what_passes_is_tried_again() {
    let server = Server::azure();
    let proxy = server.proxy();
    let case = sample(6, 8, 10);
    for fault in [Fault::Status(503), Fault::Reset, Fault::LostAnswer, Fault::CutHalfWay] {
        let url = server.fresh();
        proxy.reset().expect("listens");
        proxy.inject(fault, |number, _| number % 3 == 1);
        let traffic = Traffic::default().attempts(4).stall(Duration::from_secs(60));
        let through = server.through(&proxy, &url, traffic);
        Form::Native.save(&case, &through).unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        case.load(&through).unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert!(proxy.faults() > 3, "{fault:?}");
    }
}
