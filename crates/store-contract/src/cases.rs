//! The names of all cases. A family is called like the file of its cases.

/// The cases of the contract, by port.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_cases {
    ($then:ident [$($args:tt)*]) => { $crate::$then! { [$($args)*]
        users {
            a_user_comes_back_exactly_as_given
            a_password_hash_comes_back_exactly_as_given
            an_unknown_address_is_absent
            a_taken_address_is_refused
            a_taken_user_id_is_refused
            a_user_needs_a_home_that_exists
            addresses_are_compared_byte_for_byte
            of_many_who_register_one_address_one_wins
            a_hash_is_upgraded_without_touching_the_rest
            a_hash_that_changed_meanwhile_is_kept
            a_mailbox_is_proven_for_the_first_time_once
            a_mailbox_that_is_not_the_users_is_not_proven
            of_the_inactive_nothing_is_proven_or_changed
            of_many_who_prove_a_mailbox_one_is_the_first
            an_address_is_changed_to_any_other_and_counts_as_verified
            an_address_that_was_given_up_is_free
            an_address_is_not_changed_to_that_of_another
            an_address_is_changed_to_another_spelling_of_itself
            of_many_who_change_to_one_address_one_wins
            a_password_is_replaced_by_another_or_by_none
        }
        organizations {
            organizations_of_every_shape_are_taken
            a_taken_slug_is_refused
            a_taken_organization_id_is_refused
            a_second_membership_is_refused
            a_membership_needs_a_user_and_an_organization
            of_many_who_claim_one_slug_one_wins
        }
        principals {
            a_live_session_has_a_principal
            an_unknown_session_has_none
            a_revoked_session_has_none
            a_session_ends_exactly_at_its_end
            only_active_users_have_one
            only_members_have_one
            no_member_of_a_deleted_organization_has_one
            the_role_is_that_of_the_sessions_organization
            roles_come_back_exactly_as_given
            a_sign_in_finds_users_of_every_status
            a_sign_in_finds_the_role_at_home
            a_sign_in_finds_no_role_in_a_deleted_home
            a_sign_in_finds_users_by_their_ids_as_by_their_addresses
            a_passkey_finds_its_owner
            an_unknown_credential_finds_nobody
        }
        directory {
            known_addresses_are_told_from_unknown_ones
            known_addresses_are_compared_byte_for_byte
            known_ids_are_told_from_unknown_ones
            organizations_are_found_by_their_slugs
            hundreds_are_asked_for_at_once
            accounts_are_listed_page_by_page
            an_account_is_listed_with_its_home_alone
        }
        profiles {
            a_profile_comes_back_exactly_as_given
            a_change_of_nothing_changes_nothing_but_its_time
            only_active_users_have_a_profile_to_change
            a_new_password_takes_the_place_of_the_old_one
            a_user_without_a_password_gets_none_in_its_place
            of_many_who_set_a_password_one_wins
            a_picture_is_replaced_by_another_or_by_none
            of_many_who_replace_a_picture_each_replaces_another
            nothing_personal_remains_of_an_erased_user
            no_factor_remains_of_an_erased_user
            the_address_of_an_erased_user_is_free
            of_many_who_erase_a_user_one_wins
            organizations_are_listed_in_the_order_of_joining
            organizations_come_back_exactly_as_given
            whoever_departs_belongs_nowhere
            the_only_owner_among_members_stays
            of_the_last_two_owners_who_depart_at_once_one_stays
            sessions_are_held_until_they_are_deleted
            rows_of_an_actor_are_listed_newest_first
        }
        sessions {
            a_session_comes_back_exactly_as_given
            what_is_unknown_is_absent
            a_taken_session_id_is_refused
            a_session_needs_a_user_and_an_organization
            sessions_are_listed_newest_activity_first
            only_live_sessions_are_listed
            each_user_sees_their_own_sessions
            a_session_is_revoked_once
            a_revoked_family_remains_known
            nobody_revokes_the_session_of_another
            an_ended_session_is_not_revoked
            all_sessions_are_revoked_but_one
            revoking_all_spares_other_users_and_what_is_over
            of_many_who_revoke_one_session_one_wins
            of_many_who_revoke_all_each_session_is_ended_by_one
            a_sweep_deletes_what_ended_earlier
            a_sweep_deletes_no_more_than_its_limit
        }
        pending {
            a_pending_sign_in_comes_back_exactly_as_given
            a_pending_sign_in_needs_a_user_that_exists
            a_taken_hash_is_refused
            an_unknown_hash_is_absent
            a_newer_one_leaves_the_older_ones_of_its_user
            attempts_are_counted_up_to_the_limit
            of_many_attempts_at_once_exactly_the_limit_count
            it_is_over_from_its_end_on
            what_is_taken_is_gone
            one_is_taken_whatever_was_counted
            what_was_taken_is_back_without_the_commit
            a_transaction_takes_what_it_has_put
            of_many_who_take_one_one_wins
            voiding_ends_everything_of_one_user_only
            a_sweep_deletes_only_what_is_over
            a_sweep_deletes_no_more_than_its_limit
        }
        trust {
            a_browser_comes_back_exactly_as_given
            a_browser_needs_a_user_that_exists
            a_taken_browser_id_or_token_is_refused
            an_unknown_token_is_absent
            the_browser_of_another_user_is_absent
            a_browser_is_trusted_until_its_end
            browsers_are_listed_newest_first
            a_token_is_replaced_once
            a_token_is_not_replaced_without_the_commit
            of_many_who_present_one_token_one_wins
            a_browser_is_removed_once
            of_many_who_remove_a_browser_one_wins
            removing_all_touches_one_user_only
            a_transaction_changes_the_browser_that_it_adds
            a_sweep_forgets_only_whose_time_is_over
            a_sweep_forgets_no_more_than_its_limit
        }
        factors {
            an_authenticator_comes_back_exactly_as_given
            nobody_has_an_authenticator_at_first
            only_active_users_set_one_up
            another_takes_the_place_of_one_that_was_not_confirmed
            a_confirmed_one_stays_until_it_is_removed
            an_authenticator_is_confirmed_once_by_its_own_secret
            second_factors_are_on_from_the_confirmation_to_the_removal
            nothing_is_changed_without_the_commit
            a_transaction_sees_what_it_has_changed
            a_step_is_accepted_once_and_none_before_it
            a_step_is_accepted_of_the_confirmed_secret_only
            removing_takes_everything_of_one_user_only
            recovery_codes_need_a_confirmed_authenticator
            recovery_codes_are_replaced_as_a_whole
            a_recovery_code_is_spent_once_and_by_its_user
        }
        factor_races {
            of_many_who_set_one_up_the_secret_of_one_remains
            of_many_who_confirm_an_authenticator_one_wins
            what_is_confirmed_is_not_replaced_at_the_same_time
            of_many_who_use_one_step_one_is_let_in
            of_many_steps_at_once_the_newest_remains_the_last
            of_many_who_remove_an_authenticator_one_wins
            of_many_who_spend_one_recovery_code_one_wins
            codes_that_are_spent_at_once_are_counted_one_by_one
            of_many_who_replace_the_codes_one_set_remains
            no_codes_are_put_beside_a_removal
        }
        passkeys {
            a_passkey_comes_back_exactly_as_given
            only_active_users_get_one
            a_taken_passkey_id_or_credential_is_refused
            nobody_has_more_than_the_most
            passkeys_are_listed_newest_first
            a_passkey_is_renamed_by_its_owner
            a_use_counts_if_the_counter_rises_or_is_not_kept
            a_use_counts_of_what_is_there_and_with_the_commit
            a_passkey_is_removed_once_by_its_owner
            passkeys_are_on_while_there_is_one
            removing_all_touches_one_user_only
            a_handle_is_claimed_once
            a_transaction_changes_the_passkey_that_it_adds
        }
        passkey_races {
            of_many_passkeys_at_once_no_more_than_the_most_are_added
            of_many_users_with_one_credential_one_keeps_it
            of_many_uses_with_one_count_one_is_let_in
            of_many_counts_at_once_the_highest_remains
            of_many_uses_without_a_count_all_are_let_in
            of_many_who_remove_a_passkey_one_wins
            whoever_loses_all_at_once_has_none
            whoever_gets_one_while_losing_another_has_one
            of_many_who_claim_a_handle_all_get_the_same
        }
        ceremonies {
            a_ceremony_comes_back_exactly_as_given
            a_ceremony_of_a_user_needs_that_they_exist
            a_taken_challenge_is_refused
            an_unknown_challenge_is_absent
            a_ceremony_is_over_from_its_end_on
            a_ceremony_ends_once
            of_many_who_end_a_ceremony_one_gets_it
            those_of_one_user_go_with_their_passkeys
            a_sweep_deletes_only_what_is_over
            a_sweep_deletes_no_more_than_its_limit
        }
        assurance {
            a_step_up_raises_one_session
            a_later_step_up_keeps_the_passkey_unless_it_brings_one
            only_a_live_session_of_its_owner_steps_up
            a_step_up_needs_the_commit
            what_rests_on_a_removed_factor_ends
            a_removed_factor_spares_other_users_and_what_is_over
            a_spare_session_that_is_over_stays_as_it_is
            nothing_is_lowered_without_the_commit
            of_many_who_remove_a_factor_each_session_is_ended_by_one
        }
        sign_ins {
            what_rests_on_a_user_as_they_are_begins
            a_status_that_is_another_now_refuses_it
            a_second_factor_that_came_or_went_refuses_it
            another_password_refuses_what_rests_on_the_one_before
            nothing_begins_for_whoever_is_unknown_or_gone
            the_standing_of_another_user_is_nothing
            what_the_transaction_changed_before_counts
            a_refused_sign_in_leaves_nothing_of_its_transaction
            of_a_sign_in_and_another_password_at_once_none_survives_the_other
            of_a_sign_in_and_the_end_of_its_factor_at_once_none_survives_the_other
            of_a_sign_in_and_the_end_of_its_account_at_once_none_survives_the_other
        }
        rotation {
            the_leaf_is_exchanged_for_its_successor
            the_client_is_replaced_even_by_a_silent_one
            a_replaced_leaf_is_refused
            a_revoked_family_is_refused
            an_ended_family_is_refused
            an_unknown_family_is_refused
            users_who_are_not_active_are_refused
            users_who_are_no_members_are_refused
            members_of_deleted_organizations_are_refused
            a_long_chain_keeps_only_its_newest_leaf
            of_many_who_present_one_leaf_one_wins
            a_revocation_beats_every_rotation
        }
        proofs {
            a_verification_comes_back_exactly_as_given
            a_reset_comes_back_exactly_as_given
            a_code_comes_back_exactly_as_given
            a_proof_needs_a_user_that_exists
            a_newer_proof_replaces_the_older_of_its_kind_and_user_only
            a_hash_of_one_kind_is_nothing_for_another
            an_unknown_hash_is_absent
            the_code_of_another_user_is_absent
            what_has_expired_is_absent_from_its_end_on
            a_reset_is_found_until_it_is_taken_or_ends
            what_is_taken_is_gone
            what_was_taken_is_back_without_the_commit
            a_transaction_takes_what_it_has_put
            of_many_who_take_one_proof_one_wins
            of_many_who_put_a_proof_one_remains
            attempts_are_counted_up_to_the_limit
            of_many_attempts_at_once_no_more_than_the_limit_count
            a_new_code_starts_with_no_attempts
            a_code_is_taken_whatever_was_counted
            voiding_deletes_everything_of_one_user_only
            a_sweep_deletes_only_what_has_ended
            a_sweep_deletes_no_more_of_each_kind_than_its_limit
        }
        keys {
            a_key_comes_back_exactly_as_given
            keys_are_listed_oldest_first
            a_second_first_key_is_refused
            a_second_successor_is_refused
            a_taken_key_id_is_refused
            a_key_is_deleted_once
            of_many_first_keys_one_wins
            of_many_successors_one_wins
        }
        limits {
            tokens_are_counted_as_the_rule_says
            a_bucket_gives_its_burst_and_then_waits
            buckets_in_one_call_are_independent
            a_bucket_named_twice_gives_two_tokens
            no_buckets_are_no_work
            of_many_who_take_at_once_only_the_burst_succeeds
            buckets_may_be_named_in_any_order_at_once
            a_token_given_back_can_be_taken_again
            giving_back_never_overfills
            a_token_given_back_is_back_only_after_the_commit
            no_token_given_back_at_once_is_lost
            a_sweep_forgets_full_buckets_only
            a_sweep_forgets_no_more_than_its_limit
        }
        outbox {
            an_entry_comes_back_exactly_as_given
            a_taken_entry_id_is_refused
            an_entry_is_handed_out_from_the_time_on_that_it_is_due
            an_entry_that_has_become_pointless_is_handed_out
            those_due_first_are_handed_out_first_and_no_more_than_asked_for
            an_entry_is_handed_out_again_when_its_time_is_over
            an_entry_is_postponed
            an_entry_that_somebody_else_has_been_handed_is_not_postponed
            an_entry_is_settled_once
            of_many_who_settle_an_entry_one_wins
            of_many_who_ask_at_once_each_entry_is_handed_to_one
            what_waits_is_counted
            what_is_not_committed_is_not_posted
            a_transaction_settles_what_it_has_posted
            an_unknown_browser_posts_the_notice_once
            a_browser_becomes_known_without_a_notice
            the_browser_of_another_user_is_unknown
            the_browsers_of_a_user_are_forgotten_and_no_others
            a_browser_needs_a_user_that_exists
            of_many_greetings_from_an_unknown_browser_one_posts
            a_sweep_forgets_browsers_that_were_not_seen_since
            a_sweep_forgets_no_more_browsers_than_its_limit
        }
        audit {
            rows_of_every_shape_are_taken
            rows_about_unknown_things_are_taken
        }
        transactions {
            a_commit_makes_everything_permanent
            nothing_is_seen_before_the_commit
            a_transaction_sees_its_own_writes
            a_late_failure_undoes_everything
            a_failed_write_cannot_be_committed_around
            a_dropped_transaction_undoes_everything
            an_aborted_transaction_undoes_everything
            tasks_aborted_at_any_moment_leave_all_or_nothing
            abandoned_transactions_never_block_the_next_writer
            many_transactions_at_once_all_succeed
        }
        schema {
            a_fresh_store_is_ready
            migrating_again_does_nothing
        }
    } };
}

/// The cases about data that outlives its process.
#[doc(hidden)]
#[macro_export]
macro_rules! __durable_store_cases {
    ($then:ident [$($args:tt)*]) => { $crate::$then! { [$($args)*]
        durability {
            what_was_committed_is_there_after_reopening
            what_was_not_committed_is_gone_after_reopening
            one_handle_sees_what_another_committed
            of_many_who_present_one_leaf_to_two_handles_one_wins
            two_handles_share_the_rate_limits
            an_entry_posted_before_reopening_is_handed_out_after
            of_many_who_ask_two_handles_each_entry_is_handed_to_one
            two_handles_share_the_attempts_on_a_code
        }
        shared_factors {
            what_proves_a_person_is_there_after_reopening
            two_handles_share_the_attempts_on_a_pending_sign_in
            a_step_accepted_by_one_handle_is_refused_by_the_other
            of_many_who_spend_one_code_at_two_handles_one_wins
            of_many_who_end_a_ceremony_at_two_handles_one_gets_it
            two_handles_share_the_passkeys_of_a_user
        }
        migrations {
            every_migration_is_applied_once_in_order
            the_newest_migration_is_reverted_first
            a_store_that_went_down_and_up_works
            several_nodes_may_migrate_at_once
        }
    } };
}
