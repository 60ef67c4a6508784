//! Checks that a [`Collective`] keeps its contract, for those who implement one.
//!
//! One line in a test file runs all checks, each as a test of its own:
//!
//! ```
//! use dcp_collective::{Collective, ThreadGroup};
//!
//! /// Runs `body` as each of `size` ranks at once; a rank's handle is dropped when its `body` returns.
//! fn run(size: usize, body: &(dyn Fn(&dyn Collective) + Sync)) {
//!     for rank in ThreadGroup::run(size, |rank| body(&rank)) {
//!         rank.expect("no rank panics");
//!     }
//! }
//!
//! dcp_collective::conformance!(run);
//! # fn main() {}
//! ```
//!
//! The checks ask for at most [`MOST_RANKS`] ranks. `run` may also start each rank in a process of its own: no check
//! shares memory between ranks, and each process then reports what its rank saw.

mod clauses;
mod harness;

pub use clauses::*;
pub use harness::{Harness, Violation};

#[cfg(doc)]
use crate::Collective;

/// The most ranks that a check asks for.
pub const MOST_RANKS: usize = 3;

/// One check of the contract.
pub type Check = fn(&Harness<'_>) -> Result<(), Violation>;

/// All checks, by name.
pub const CLAUSES: &[(&str, Check)] = &[
    ("positions_and_labels_are_distinct", positions_and_labels_are_distinct),
    ("positions_out_of_range_are_refused", positions_out_of_range_are_refused),
    ("messages_keep_their_order", messages_keep_their_order),
    ("tags_are_kept_apart", tags_are_kept_apart),
    ("senders_are_kept_apart", senders_are_kept_apart),
    ("an_empty_message_arrives", an_empty_message_arrives),
    ("a_large_message_arrives_whole", a_large_message_arrives_whole),
    ("a_message_to_oneself_arrives", a_message_to_oneself_arrives),
    ("sending_does_not_wait", sending_does_not_wait),
    ("receiving_ends_at_its_deadline", receiving_ends_at_its_deadline),
    ("messages_outlive_their_sender", messages_outlive_their_sender),
    ("a_departure_wakes_receivers", a_departure_wakes_receivers),
    ("threads_do_not_hold_each_other_up", threads_do_not_hold_each_other_up),
    ("tags_agree_and_never_repeat", tags_agree_and_never_repeat),
    ("closing_a_tag_spares_the_others", closing_a_tag_spares_the_others),
    ("objects_in_common_keep_to_their_tag", objects_in_common_keep_to_their_tag),
    ("an_exchange_runs", an_exchange_runs),
];

/// Makes one `#[test]` of each check, run by the function named: `fn(usize, &(dyn Fn(&dyn Collective) + Sync))`.
///
/// See [the module](mod@crate::conformance) for an example.
#[macro_export]
macro_rules! conformance {
    ($run:path) => {
        $crate::conformance!(@tests $run;
            positions_and_labels_are_distinct,
            positions_out_of_range_are_refused,
            messages_keep_their_order,
            tags_are_kept_apart,
            senders_are_kept_apart,
            an_empty_message_arrives,
            a_large_message_arrives_whole,
            a_message_to_oneself_arrives,
            sending_does_not_wait,
            receiving_ends_at_its_deadline,
            messages_outlive_their_sender,
            a_departure_wakes_receivers,
            threads_do_not_hold_each_other_up,
            tags_agree_and_never_repeat,
            closing_a_tag_spares_the_others,
            objects_in_common_keep_to_their_tag,
            an_exchange_runs,
        );
    };
    (@tests $run:path; $($clause:ident),* $(,)?) => {
        $(
            #[test]
            fn $clause() {
                if let Err(violation) = $crate::conformance::$clause(&$crate::conformance::Harness::new(&$run)) {
                    panic!("{violation}");
                }
            }
        )*

        /// A check that has no test would be a promise that nobody keeps.
        #[test]
        fn every_clause_is_tested() {
            let tested = [$(stringify!($clause)),*];
            let clauses: Vec<&str> = $crate::conformance::CLAUSES.iter().map(|(name, _)| *name).collect();
            assert_eq!(clauses, tested);
        }
    };
}
