//! What there is to be counted, at which sizes.

use dcp_native::NativeFormat;
use dcp_torch::DcpFormat;

use crate::model::{by_mesh, by_regions};
use crate::{Failure, formats, planning};

/// Some set-up, and work that is counted.
pub(crate) struct Case {
    /// Its name. `NAME-twice` is NAME at twice the size.
    pub(crate) name: &'static str,
    /// How many things come of the work: the count of work that was not done tells nothing.
    results: usize,
    work: fn() -> Result<usize, Failure>,
}

impl Case {
    /// Does it, and checks what came of it.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let results = (self.work)()?;
        if results == self.results {
            Ok(())
        } else {
            Err(format!("{} results are expected of {}, and {results} came of it", self.results, self.name).into())
        }
    }
}

const fn case(name: &'static str, results: usize, work: fn() -> Result<usize, Failure>) -> Case {
    Case { name, results, work }
}

/// All of them. Models are so many ranks x tensors.
pub(crate) const CASES: &[Case] = &[
    case("local-plan", 200, || planning::local_plan(256, 200)),
    case("global-plan", 457, || planning::global_plan(&by_mesh(256, 200)?)),
    case("global-plan-twice", 657, || planning::global_plan(&by_mesh(256, 400)?)),
    case("global-plan-regions", 1030, || planning::global_plan(&by_regions(1024, 5)?)),
    case("global-plan-regions-twice", 2054, || planning::global_plan(&by_regions(2048, 5)?)),
    case("load-plan", 200, || planning::load_plan(&by_mesh(256, 200)?, 192)),
    case("native-layout", 146, || formats::lay_out(&NativeFormat::new(), &by_mesh(256, 200)?)),
    case("native-encode", 457, || formats::encode(&NativeFormat::new(), &by_mesh(256, 200)?)),
    case("native-open", 457, || formats::open(&NativeFormat::new(), &by_mesh(256, 200)?)),
    case("native-open-regions", 1030, || formats::open(&NativeFormat::new(), &by_regions(1024, 5)?)),
    case("native-open-regions-twice", 2054, || formats::open(&NativeFormat::new(), &by_regions(2048, 5)?)),
    case("dcp-layout", 73, || formats::lay_out(&DcpFormat::new(), &by_mesh(64, 100)?)),
    case("dcp-encode", 165, || formats::encode(&DcpFormat::new(), &by_mesh(64, 100)?)),
    case("dcp-open", 165, || formats::open(&DcpFormat::new(), &by_mesh(64, 100)?)),
    case("dcp-open-twice", 229, || formats::open(&DcpFormat::new(), &by_mesh(128, 100)?)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_does_its_work() {
        let failures: Vec<_> =
            CASES.iter().filter_map(|case| case.run().err()).map(|failure| failure.to_string()).collect();
        assert_eq!(failures, [""; 0]);
    }
}
