//! The clauses, one group to a file. The list below is the only one: the table and the generated tests
//! both come from it.

mod aborts;
mod reading;
mod rivals;
mod saving;
mod trouble;

use super::{Capability, Clause};
use crate::conformance::block_on;

/// Calls `$callback!` with its arguments and, for each clause, the capability it needs, its group and its name.
#[doc(hidden)]
#[macro_export]
macro_rules! __plug_clauses {
    ($callback:ident $arguments:tt) => {
        $crate::$callback! { $arguments
            Always    saving  nothing_is_there_before_finish;
            Overwrite saving  old_one_is_there_before_finish;
            Always    saving  finished_one_is_whole;
            Values    saving  values_come_back;
            Overwrite saving  finished_one_replaces_the_old;
            Always    saving  ranks_write_at_the_same_time;
            Always    saving  report_counts_what_was_written;
            Always    saving  failing_source_fails;
            Always    saving  short_source_fails;

            Always    rivals  existing_one_is_not_replaced_unasked;
            Always    rivals  one_of_two_first_savers_wins;
            Overwrite rivals  one_of_two_overwriting_savers_wins;
            Overwrite rivals  overwriting_savers_do_not_write_to_the_same_objects;
            Always    rivals  racing_finishes_have_one_winner;

            Always    aborts  abort_leaves_nothing_visible;
            Overwrite aborts  abort_leaves_the_old_one;
            Objects   aborts  abort_leaves_no_objects;
            Always    aborts  abort_while_a_rank_writes;
            Always    aborts  save_after_an_abort;
            Always    aborts  abort_of_the_loser_leaves_the_winner;
            Overwrite aborts  abort_of_an_overwriting_loser_leaves_the_winner;
            Always    aborts  abort_after_finish_changes_nothing;
            Always    aborts  second_abort_leaves_the_next_save;

            Always    reading missing_checkpoint_is_told;
            Always    reading data_before_metadata_fails;
            Always    reading metadata_is_what_was_saved;
            Always    reading fingerprint_is_the_same_for_all_readers;
            Overwrite reading fingerprint_tells_checkpoints_apart;
            Always    reading check_accepts_what_is_there;
            Always    reading no_items_at_all;
            Always    reading parts_of_chunks;
            Always    reading transposed_destination;
            Always    reading destination_inside_a_larger_buffer;
            Always    reading sink_gets_each_byte_once_in_order;
            Always    reading items_of_several_tensors;
            Always    reading report_counts_what_was_needed;
            Always    reading readers_do_not_disturb_each_other;

            Always    trouble destination_of_the_wrong_shape_fails;
            Always    trouble destination_of_the_wrong_size_fails;
            Always    trouble failing_sink_fails;
            Overwrite trouble overwritten_one_is_old_or_told;
            Overwrite trouble reopened_reader_finds_the_new_one;
            Objects   trouble lost_object_is_an_error;
            Objects   trouble cut_object_is_an_error;
            Checksums trouble damage_is_an_error;
        }
    };
}

/// Every clause of the contracts.
pub const CLAUSES: &[Clause] = crate::__plug_clauses! { __plug_table () };

#[doc(hidden)]
#[macro_export]
macro_rules! __plug_table {
    (() $($needs:ident $module:ident $name:ident;)*) => {
        &[$(Clause {
            name: stringify!($name),
            needs: Capability::$needs,
            check: |plug| block_on($module::$name(plug)),
        }),*]
    };
}
