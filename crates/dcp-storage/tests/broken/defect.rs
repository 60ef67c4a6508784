//! The defects, and which clauses must notice each.

macro_rules! defects {
    ($($(#[$doc:meta])* $defect:ident => $($clause:ident),+;)+) => {
        /// What a [`Broken`](super::Broken) store does wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Defect {
            $($(#[$doc])* $defect),+
        }

        impl Defect {
            /// Every defect, with the clauses made for it. Others may well notice it too.
            pub(crate) const ALL: &[(Self, &[&str])] = &[$((Self::$defect, &[$(stringify!($clause)),+])),+];
        }
    };
}

defects! {
    // Visibility.
    ShowsObjectsBeforeFinish =>
        unfinished_upload_cannot_be_read, unfinished_upload_has_no_head, other_handle_does_not_see_unfinished_upload;
    GivesHeadsBeforeFinish => unfinished_upload_has_no_head;
    ListsUnfinished => unfinished_upload_is_not_listed;
    SizesInHeadsAreRoundedUp => finished_upload_is_whole, published_object_is_whole;
    SizesAreRoundedUp => size_is_that_of_the_head;
    FinishGivesNoSize => finished_upload_is_whole;
    CutsPublishedObjects => published_object_is_whole;
    KeepsTheTailOfWhatItReplaces => republished_object_is_whole;
    PublishesInTwoHalves => reader_sees_the_old_or_the_new_object;

    // Immutability.
    UploadsReplace => create_does_not_replace, create_does_not_replace_a_published_object;
    FinishReplaces => finish_does_not_replace, finish_does_not_replace_a_published_object, other_handle_cannot_replace;

    // Publish.
    NeverPublishesIfAbsent => publish_if_absent_creates;
    IgnoresAbsent => publish_if_absent_does_not_replace;
    SeesOnlyPublishedAsPresent => publish_if_absent_does_not_replace_an_upload;
    TombstonesBlockPublish => publish_if_absent_after_delete_creates;
    ChecksThenPublishes =>
        racing_publishers_if_absent_have_one_winner, racing_publishers_of_a_version_have_one_winner,
        racing_handles_have_one_winner;
    TakesNoConditionForAbsent => publish_unconditionally_creates_and_replaces;
    NeverPublishesOnAVersion => publish_if_version_matches_replaces;
    IgnoresMatches => publish_if_version_is_stale_fails;
    CreatesOnAVersion => publish_if_version_matches_fails_without_the_object;
    VersionsArePublishedOnesOnly => publish_replaces_an_upload_in_its_version;
    HeadsHaveOtherVersions => head_gives_the_published_version;
    VersionsAreLengths => versions_tell_contents_apart, publish_if_version_is_stale_fails;

    // Ranges.
    ReadsOneByteLater => range_is_exact;
    ReadsShort => range_is_exact;
    FillsInSortedOrder => ranges_in_any_order;
    ReadsOverlapsOnce => ranges_may_overlap;
    ForgetsTheSecondOfTwoThatTouch => ranges_may_touch;
    RefusesEmptyRanges => range_may_be_empty;
    RefusesTheLastByte => range_may_end_at_the_end;
    ZeroFillsPastTheEnd => range_past_the_end_fails, range_beyond_the_end_fails;
    CallsOutOfRangeIo => range_past_the_end_fails, range_beyond_the_end_fails, range_past_the_largest_offset_fails;
    CallsOutOfRangeNotFound => range_past_the_end_fails, range_beyond_the_end_fails;
    SkipsEmptyRanges => empty_range_beyond_the_end_fails;
    WrapsOffsets => range_past_the_largest_offset_fails;
    ZeroFillsAllRangesButTheFirst => one_bad_range_among_good_ones_fails;
    ReadsThousandRangesAtMost => thousands_of_ranges_in_one_read;
    ReadsNoRangeOfNothing => no_range_at_all;
    ShowsBeforeItReads => ranges_are_shown_when_they_are_full;
    ShowsBackwards => ranges_are_shown_when_they_are_full;
    ForgetsToShowTheLast => ranges_are_shown_when_they_are_full;
    GoesOnWhenSomebodySaysNo => whoever_looks_can_end_the_read;
    SharesOneCursor => concurrent_reads_do_not_disturb_each_other;

    // Whole objects.
    CutsWholeObjects => whole_object_comes_with_its_version;
    GivesWholeObjectsAnotherVersion => whole_object_comes_with_its_version, whole_object_is_replaced_in_its_version;
    GivesWholeObjectsHoweverLong => whole_object_that_is_too_long_fails;
    LooksForTheVersionLater => whole_object_is_of_one_state;

    // Missing.
    FailsMissingReadsWithIo => read_of_missing_object_fails;
    GivesMissingHeadsSizeZero => head_of_missing_object_fails;
    GivesWholeMissingObjects => whole_of_missing_object_fails;
    GivesMissingObjectsSizeZero => size_of_missing_object_fails;
    FailsToDeleteNothing => delete_of_missing_object_succeeds;
    FailsToListNothing => list_of_empty_place_is_empty, list_of_missing_prefix_is_empty;

    // Listing.
    ListsBackwards => list_is_sorted;
    ListsByDirectory => list_is_sorted;
    ListsWithoutSizes => list_has_the_sizes;
    ListsByText => list_goes_by_component, list_of_missing_prefix_is_empty;
    ListsOneLevel => list_goes_by_component;
    ListsStrictlyBelow => list_includes_the_object_named;
    ListsDeleted => list_forgets_what_was_deleted;
    DeletesByText => delete_removes_one_object_only;

    // Names.
    TrimsNames => odd_names_work_and_come_back_unchanged, similar_names_are_different_objects;
    DecodesPercent => odd_names_work_and_come_back_unchanged, similar_names_are_different_objects;
    TakesPlusForSpace => odd_names_work_and_come_back_unchanged, similar_names_are_different_objects;
    FlattensDirectories => similar_names_are_different_objects;
    FoldsCase => names_in_another_case_or_normal_form_are_different_objects;
    CutsComponents => long_component_works;
    CutsPaths => long_path_works;
    LimitsDepth => deep_nesting_works;

    // Uploads.
    AbortKeepsTheObject => abort_leaves_nothing;
    DropKeepsTheObject => drop_leaves_nothing;
    DroppedUploadsKeepTheName => cancelled_name_can_be_created_again;
    TombstonesBlockCreate => deleted_name_can_be_created_again;
    LosesTheSecondWrite => finished_upload_is_whole;
    LosesAllButTheFirstWrite => finished_upload_is_whole, writes_are_appended;
    LosesTheLastByte => finished_upload_is_whole;
    EachWriteStartsOver => writes_are_appended;
    CutsLargeObjects => large_object_in_odd_sized_writes;
    LosesEmptyUploads => empty_object_exists;
    LosesEmptyPublishes => empty_published_object_exists;
    TakesTheHintForALimit => expected_size_is_only_a_hint;
    PadsToTheHint => expected_size_is_only_a_hint;
    UploadsShareABuffer => uploads_side_by_side_do_not_mix;

    // Unfinished uploads.
    NamesNoUnfinished => upload_under_way_is_unfinished;
    FinishedUploadsStayUnfinished => finished_upload_is_no_longer_unfinished;
    AbortedUploadsStayUnfinished => aborted_upload_is_no_longer_unfinished;
    DroppedUploadsStayUnfinished => dropped_upload_is_soon_no_longer_unfinished;
    NamesEachUploadUnfinished => unfinished_is_sorted_and_names_each_once;
    NamesUnfinishedByDirectory => unfinished_is_sorted_and_names_each_once;
    DiscardsNothing => discard_removes_all_uploads_of_one_object, discarded_upload_cannot_be_finished;
    DiscardsOneUploadOnly => discard_removes_all_uploads_of_one_object;
    DiscardsByText => discard_removes_all_uploads_of_one_object;
    FinishesWhatWasDiscarded =>
        discarded_upload_cannot_be_finished, other_handle_sees_and_discards_unfinished_upload;
    FailsToAbortWhatWasDiscarded => discarded_upload_can_be_aborted;
    DiscardedUploadsKeepTheName => discarded_name_can_be_created_again;
    DiscardDeletesTheObject => discard_spares_the_finished_object;
    FailsToDiscardNothing => discard_of_nothing_succeeds;
    NamesOnlyItsOwnUnfinished => other_handle_sees_and_discards_unfinished_upload;

    // Shared uploads.
    ShowsSharedObjectsBeforeCompletion => shared_object_appears_when_it_is_completed;
    HandsAppend => shared_object_appears_when_it_is_completed, hands_write_side_by_side;
    FillsWhatNobodyWrites => what_nobody_writes_is_zero;
    TakesSharedObjectsOfAnySize => more_than_was_to_be_written_is_an_error;
    CompletionReplaces => completion_replaces_only_as_it_may;
    CompletionNeverReplaces => completion_replaces_only_as_it_may;
    AbortKeepsTheSharedUpload => aborted_shared_upload_leaves_nothing;
    NamesNoSharedUpload => shared_upload_is_unfinished_until_it_is_completed;
    DiscardsNoSharedUpload => shared_upload_is_unfinished_until_it_is_completed;

    // Other handles.
    LosesAllOnReopen => other_handle_sees_finished_upload, other_handle_sees_published_object;
    CachesHeadsInTheHandle => other_handle_sees_delete;
    VersionsBelongToTheHandle => other_handle_gives_the_same_version;
}
