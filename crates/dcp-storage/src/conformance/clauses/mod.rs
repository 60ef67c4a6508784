//! The clauses, one group to a file. The list below is the only one: the table and the generated tests
//! both come from it.

mod immutability;
mod listing;
mod missing;
mod names;
mod publish;
mod ranges;
mod reopen;
mod shared;
mod unfinished;
mod uploads;
mod visibility;
mod whole;

use super::{Capability, Clause, block_on};

/// Calls `$callback!` with its arguments and, for each clause, the capability it needs, its group and its name.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_clauses {
    ($callback:ident $arguments:tt) => {
        $crate::$callback! { $arguments
            Always     visibility   unfinished_upload_cannot_be_read;
            Always     visibility   unfinished_upload_has_no_head;
            Always     visibility   unfinished_upload_is_not_listed;
            Always     visibility   finished_upload_is_whole;
            Always     visibility   published_object_is_whole;
            Always     visibility   size_is_that_of_the_head;
            Replace    visibility   republished_object_is_whole;
            Replace    visibility   reader_sees_the_old_or_the_new_object;

            Always     immutability create_does_not_replace;
            Always     immutability create_does_not_replace_a_published_object;
            Always     immutability finish_does_not_replace;
            Always     immutability finish_does_not_replace_a_published_object;

            Always     publish      publish_if_absent_creates;
            Always     publish      publish_if_absent_does_not_replace;
            Always     publish      publish_if_absent_does_not_replace_an_upload;
            Always     publish      publish_if_absent_after_delete_creates;
            Always     publish      racing_publishers_if_absent_have_one_winner;
            Replace    publish      publish_unconditionally_creates_and_replaces;
            Replace    publish      publish_if_version_matches_replaces;
            Replace    publish      publish_if_version_is_stale_fails;
            Replace    publish      publish_if_version_matches_fails_without_the_object;
            Replace    publish      publish_replaces_an_upload_in_its_version;
            Always     publish      head_gives_the_published_version;
            Replace    publish      versions_tell_contents_apart;
            Replace    publish      racing_publishers_of_a_version_have_one_winner;

            Always     ranges       range_is_exact;
            Always     ranges       ranges_in_any_order;
            Always     ranges       ranges_may_overlap;
            Always     ranges       ranges_may_touch;
            Always     ranges       range_may_be_empty;
            Always     ranges       range_may_end_at_the_end;
            Always     ranges       range_past_the_end_fails;
            Always     ranges       range_beyond_the_end_fails;
            Always     ranges       empty_range_beyond_the_end_fails;
            Always     ranges       range_past_the_largest_offset_fails;
            Always     ranges       one_bad_range_among_good_ones_fails;
            Always     ranges       thousands_of_ranges_in_one_read;
            Always     ranges       no_range_at_all;
            Always     ranges       ranges_are_shown_when_they_are_full;
            Always     ranges       whoever_looks_can_end_the_read;
            Always     ranges       concurrent_reads_do_not_disturb_each_other;

            Always     whole        whole_object_comes_with_its_version;
            Always     whole        whole_object_that_is_too_long_fails;
            Replace    whole        whole_object_is_replaced_in_its_version;
            Replace    whole        whole_object_is_of_one_state;

            Always     missing      read_of_missing_object_fails;
            Always     missing      head_of_missing_object_fails;
            Always     missing      size_of_missing_object_fails;
            Always     missing      whole_of_missing_object_fails;
            Always     missing      delete_of_missing_object_succeeds;
            Always     missing      list_of_empty_place_is_empty;
            Always     missing      list_of_missing_prefix_is_empty;

            Always     listing      list_is_sorted;
            Always     listing      list_has_the_sizes;
            Always     listing      list_goes_by_component;
            Always     listing      list_includes_the_object_named;
            Always     listing      list_forgets_what_was_deleted;
            Always     listing      delete_removes_one_object_only;

            Always     names        odd_names_work_and_come_back_unchanged;
            Always     names        long_component_works;
            Always     names        long_path_works;
            Always     names        deep_nesting_works;
            Always     names        similar_names_are_different_objects;
            ExactNames names        names_in_another_case_or_normal_form_are_different_objects;

            Always     uploads      abort_leaves_nothing;
            Always     uploads      drop_leaves_nothing;
            Always     uploads      cancelled_name_can_be_created_again;
            Always     uploads      deleted_name_can_be_created_again;
            Always     uploads      writes_are_appended;
            Always     uploads      large_object_in_odd_sized_writes;
            Always     uploads      empty_object_exists;
            Always     uploads      empty_published_object_exists;
            Always     uploads      expected_size_is_only_a_hint;
            Always     uploads      uploads_side_by_side_do_not_mix;

            Unfinished unfinished   upload_under_way_is_unfinished;
            Unfinished unfinished   finished_upload_is_no_longer_unfinished;
            Unfinished unfinished   aborted_upload_is_no_longer_unfinished;
            Unfinished unfinished   dropped_upload_is_soon_no_longer_unfinished;
            Unfinished unfinished   unfinished_is_sorted_and_names_each_once;
            Unfinished unfinished   discard_removes_all_uploads_of_one_object;
            Unfinished unfinished   discarded_upload_cannot_be_finished;
            Unfinished unfinished   discarded_upload_can_be_aborted;
            Unfinished unfinished   discarded_name_can_be_created_again;
            Unfinished unfinished   discard_spares_the_finished_object;
            Unfinished unfinished   discard_of_nothing_succeeds;
            Unfinished unfinished   other_handle_sees_and_discards_unfinished_upload;

            Shared     shared       shared_object_appears_when_it_is_completed;
            Shared     shared       hands_write_side_by_side;
            Shared     shared       what_nobody_writes_is_zero;
            Shared     shared       more_than_was_to_be_written_is_an_error;
            Shared     shared       completion_replaces_only_as_it_may;
            Shared     shared       aborted_shared_upload_leaves_nothing;
            Shared     shared       shared_upload_is_unfinished_until_it_is_completed;

            Reopen     reopen       other_handle_sees_finished_upload;
            Reopen     reopen       other_handle_sees_published_object;
            Reopen     reopen       other_handle_sees_delete;
            Reopen     reopen       other_handle_does_not_see_unfinished_upload;
            Reopen     reopen       other_handle_cannot_replace;
            Reopen     reopen       other_handle_gives_the_same_version;
            Reopen     reopen       racing_handles_have_one_winner;
        }
    };
}

/// Every clause of the contract.
pub const CLAUSES: &[Clause] = crate::__store_clauses! { __store_table () };

#[doc(hidden)]
#[macro_export]
macro_rules! __store_table {
    (() $($needs:ident $module:ident $name:ident;)*) => {
        &[$(Clause {
            name: stringify!($name),
            needs: Capability::$needs,
            check: |subject| block_on($module::$name(subject)),
        }),*]
    };
}
