"""For every index, who uses it and with which query. Read by `test_indexes.py`.

Primary keys, unique indexes and constraints are not listed: they are there for correctness, not for speed.
"""

# The user is a function of the product ("module:function"), a database function, or the row-level security of a table.
INDEX_USES: dict[str, tuple[str, str]] = {
    "ix_audit_entry_account": (
        "backend.audit_search.queries:_in_own_columns",
        "audit_entry WHERE acting_account IS NOT NULL AND acting_account = $1 ORDER BY at DESC, id DESC LIMIT 51",
    ),
    "ix_audit_entry_action": (
        "backend.audit_search.queries:_in_own_columns",
        "audit_entry WHERE action <> 'outcome.write' AND action = $1 ORDER BY at DESC, id DESC LIMIT 51",
    ),
    "ix_audit_entry_at": (
        "backend.audit_search.queries:_in_own_columns",
        "audit_entry WHERE (at, id) < ($1, $2) ORDER BY at DESC, id DESC LIMIT 51",
    ),
    "ix_audit_entry_subject": (
        "backend.core.audit:load_acts",
        "audit_entry WHERE (subject_type <> 'outcome' OR acting_account IS NOT NULL) AND subject_id = $1",
    ),
    "ix_audit_entry_unit": (
        "backend.audit_search.queries:search_audit",
        "audit_entry WHERE org_path = $1 ORDER BY at DESC, id DESC LIMIT 51",
    ),
    "ix_account_org": (
        "backend.identity.recipients:unit_staff",
        "account WHERE org_id = $1 AND kind = $2 AND status = 'active'",
    ),
    "ix_account_staff": (
        "backend.core.listing.pages:load_page",
        "account WHERE kind <> 'student' AND id > $1 ORDER BY id LIMIT 51",
    ),
    "ix_aid_application_school": (
        "backend.aid.queries:list_applications",
        "aid_application WHERE school_id = $1 AND term_code = $2",
    ),
    "ix_aid_award_school": (
        "backend.aid.queries:list_balances",
        "aid_award WHERE school_id = $1 GROUP BY school_id, term_code",
    ),
    "ix_aid_duplicate_student": (
        "backend.aid.eligibility:load_duplicates",
        "aid_duplicate WHERE student_id = ANY ($1)",
    ),
    "ix_aid_filing_school": (
        "backend.aid.filings:select_found_filings",
        "aid_filing WHERE school_id = $1 AND id < $2 ORDER BY id DESC LIMIT 51",
    ),
    "ix_aid_filing_student": (
        "backend.aid.queries:get_student_aid",
        "aid_filing WHERE student_id = $1 ORDER BY id",
    ),
    "ix_aid_instalment_student": (
        "backend.aid.ledger:load_ledgers",
        "aid_instalment WHERE student_id = ANY ($1) ORDER BY month",
    ),
    "ix_aid_payment_award": (
        "backend.aid.queries:_sum_by_term",
        (
            "aid_payment JOIN aid_award ON aid_award.id = award_id WHERE aid_award.school_id = $1"
            " AND term_code = $2"
        ),
    ),
    "ix_aid_payment_student": (
        "backend.aid.queries:_load_payments",
        "aid_payment WHERE student_id = $1 ORDER BY at, id",
    ),
    "ix_aid_posting_cause": ("backend.aid.payments:_load_overpayments", "aid_posting WHERE cause = ANY ($1)"),
    "ix_aid_posting_instalment": ("aid_balanced", "aid_posting WHERE award_id = $1 AND month = $2"),
    "ix_aid_posting_student": (
        "backend.aid.queries:get_student_aid",
        "aid_posting WHERE student_id = $1 ORDER BY at, id",
    ),
    "ix_answered_challenge_at": ("definer.purge_answered_challenges", "answered_challenge WHERE at < $1"),
    "ix_appeal_case_unit": (
        "backend.appeal.queries:load_appeals_page",
        "appeal_case WHERE unit_id = $1 AND appeal_id < $2 ORDER BY appeal_id DESC LIMIT 51",
    ),
    "ix_appeal_due_due_at": ("backend.appeal.queries:load_appeals_page", "appeal_due WHERE due_at <= $1"),
    "ix_attachment_student": (
        "backend.people.attachment_files:_check_quota",
        "attachment WHERE student_id = $1 AND uploaded_by = $2 AND uploaded_at >= $3",
    ),
    "ix_challenge_student": (
        "backend.roll_call.check_in.challenges:_load_issued_challenges",
        (
            "challenge WHERE term_code = '2026-spring' AND roll_call_id = $1 AND school_id = $2 AND student_id = $3"
            " ORDER BY expires_at DESC"
        ),
    ),
    "ix_change_request_school": (
        "backend.standing.change_requests.queries:load_requests_page",
        "change_request WHERE school_id = $1",
    ),
    "ix_change_request_student": (
        "backend.standing.change_requests.queries:find_open_request",
        "change_request WHERE student_id = $1",
    ),
    "ix_class_counselor_counselor": (
        "backend.people.queries:classes_of_counselor",
        "class_counselor WHERE counselor_id = $1 AND until IS NULL",
    ),
    "ix_consent_student": (
        "backend.identity.accounts.activation:_has_consent",
        "consent WHERE student_id = $1 AND kind = $2 ORDER BY at DESC LIMIT 1",
    ),
    "ix_authenticator_reset_account": (
        "backend.identity.accounts.authenticator_resets:load_resets",
        "authenticator_reset WHERE account_id = $1 ORDER BY id DESC LIMIT 50",
    ),
    "ix_cool_down_act_student": (
        "backend.identity.devices.cool_down:load_cool_down_acts",
        "cool_down_act WHERE student_id = $1 ORDER BY at DESC",
    ),
    "ix_device_key_student": (
        "backend.identity.devices.service:has_ever_bound",
        "device_key WHERE student_id = $1",
    ),
    "ix_dpop_proof_seen_at": ("definer.purge_proofs", "dpop_proof WHERE seen_at < $1"),
    "ix_face_enrolment_shots_kept": (
        "backend.retention.faces:find_expired_shots",
        "face_enrolment WHERE shots_deleted_at IS NULL AND decided_at <= $1 ORDER BY decided_at LIMIT 500",
    ),
    "ix_face_enrolment_student": (
        "backend.identity.face.enrolment:load_newest_enrolment",
        "face_enrolment WHERE student_id = $1 ORDER BY submitted_at DESC LIMIT 1",
    ),
    "ix_face_template_sample": (
        "backend.identity.face.templates:load_school_templates",
        (
            "face_template WHERE school_id = $1 AND engine_id = $2 AND engine_version = $3 AND status = 'active'"
            " ORDER BY md5(CAST(student_id AS text)) LIMIT 20"
        ),
    ),
    "ix_graduation_school": (
        "backend.registration.graduation.queries:load_graduation_page",
        "graduation WHERE school_id = $1 ORDER BY student_id DESC LIMIT 51",
    ),
    "ix_gaokao_finding_student": (
        "backend.appeal.gaokao:_load_finding",
        "gaokao_finding WHERE student_id = $1 AND exam_year = $2",
    ),
    "ix_face_calibration_probe_roll_call": (
        "backend.identity.face.calibration.probes:load_class_probes",
        "face_calibration_probe WHERE roll_call_id = $1 AND class_id = $2",
    ),
    "ix_face_calibration_probe_student": (
        "backend.identity.face.calibration.samples:_load_probes",
        "face_calibration_probe WHERE student_id = ANY ($1)",
    ),
    "ix_face_calibration_probe_unconfirmed": (
        "backend.retention.faces:find_unconfirmed_probes",
        "face_calibration_probe WHERE confirmation_id IS NULL AND at <= $1 ORDER BY at LIMIT 500",
    ),
    "ix_passkey_account": (
        "backend.identity.passkeys.service:load_passkeys",
        "passkey WHERE account_id = $1 AND removed_at IS NULL ORDER BY created_at",
    ),
    "ix_selfie_record_student": (
        "backend.identity.face.selfie_fingerprints:_delete_oldest",
        "selfie_record WHERE student_id = ANY ($1)",
    ),
    "ix_picture_view_student": (
        "backend.identity.pictures.views:load_picture_views",
        "picture_view WHERE student_id = $1 AND id < $2 ORDER BY id DESC LIMIT 51",
    ),
    "ix_sign_in_event_account": (
        "backend.identity.sign_in.log:load_own_sign_ins",
        "sign_in_event WHERE account_id = $1 AND id < $2 ORDER BY id DESC LIMIT 51",
    ),
    "ix_sign_in_event_at": ("definer.purge_sign_ins", "sign_in_event WHERE at < $1"),
    "ix_sign_in_throttle_counted_at": ("definer.purge_sign_ins", "sign_in_throttle WHERE counted_at < $1"),
    "ix_staff_session_account": (
        "backend.identity.sign_in.sessions:load_own_sessions",
        "staff_session WHERE account_id = $1 ORDER BY created_at DESC",
    ),
    "ix_leave_request_ends_at": (
        "backend.leave.queries:load_late_leave_page",
        "leave_request WHERE starts_at < $1 AND ends_at > $2",
    ),
    "ix_leave_request_student": (
        "backend.leave.service:_reject_overlap",
        "leave_request WHERE student_id = $1 AND starts_at < $2 AND ends_at > $3",
    ),
    "ix_leave_stand_in_stand_in": (
        "backend.leave.queries:counselors_represented_by",
        "leave_stand_in WHERE stand_in_id = $1 AND starts_at <= $2 AND ends_at > $2",
    ),
    "ix_non_face_route_student": (
        "backend.identity.consents:has_chosen_non_face_route",
        "non_face_route WHERE student_id = $1 ORDER BY at DESC LIMIT 1",
    ),
    "ix_notice_account": (
        "backend.notice.inbox:_addressed_to",
        "notice WHERE account_id = $1 AND student_id IS NULL ORDER BY message_id DESC LIMIT 51",
    ),
    "ix_notice_school": ("policy of notice_message", "notice WHERE message_id = $1 AND school_id = $2"),
    "ix_notice_student": (
        "backend.notice.inbox:_addressed_to",
        "notice WHERE student_id = $1 ORDER BY message_id DESC LIMIT 51",
    ),
    "ix_notice_delivery_group": (
        "backend.notice.queries:load_group_statistics",
        "notice_delivery WHERE group_id = $1",
    ),
    "ix_notice_delivery_out": (
        "definer.record_sms_reports",
        "notice_delivery WHERE out_id = $1 AND channel = 'sms'",
    ),
    "ix_notice_delivery_waiting": (
        "backend.notice.delivery:Slice.queued_by",
        "notice_delivery WHERE message_id = $1 AND slice = $2 AND state = 'queued' AND channel <> 'in_app'",
    ),
    "ix_notice_message_group": (
        "backend.roll_call.facts_for_standing:_load_deliveries",
        "notice_message WHERE group_id = $1",
    ),
    "ix_obligation_class": (
        "backend.roll_call.results.audience:filter_audience",
        (
            "obligation WHERE term_code = '2026-spring' AND roll_call_id = $1 AND school_id = $2"
            " AND class_id = $3"
        ),
    ),
    "ix_check_in_cell_school": (
        "backend.roll_call.cells.queries:_load_cells",
        "check_in_cell WHERE school_id = $1 AND term_code = $2 AND cell_row BETWEEN 1 AND 9",
    ),
    "ix_rehearsal_reminder_school": (
        "backend.roll_call.readiness.queries:_reminded_at",
        "rehearsal_reminder WHERE school_id = $1 AND cohort = 'enrolled' ORDER BY at DESC",
    ),
    "ix_org_unit_path": ("backend.org.queries:is_in_subtree", "org_unit WHERE path <@ $1"),
    "ix_outage_org_path": ("backend.standing.store.load:_load_outages", "outage WHERE org_path = ANY ($1)"),
    "ix_outcome_count_version": (
        "definer.progress_since",
        "outcome_count WHERE roll_call_id = $1 AND version > $2",
    ),
    "ix_outcome_count_pending_roll_call": (
        "definer.progress_since",
        "outcome_count_pending WHERE roll_call_id = $1 GROUP BY class_id",
    ),
    "ix_outcome_entry_missed": (
        "backend.standing.batch_assessment:_missed_in",
        (
            "outcome_entry WHERE term_code = '2026-spring' AND school_id = $1 AND roll_call_id = $2"
            " AND outcome = 'missed'"
        ),
    ),
    "ix_outcome_entry_others": (
        "backend.roll_call.results.audience:select_not_present",
        (
            "outcome_entry WHERE term_code = '2026-spring' AND roll_call_id = $1 AND school_id = ANY ($2)"
            " AND outcome <> 'present'"
        ),
    ),
    "ix_outcome_entry_undetermined": (
        "backend.roll_call.results.undetermined:load_undetermined_page",
        "outcome_entry WHERE term_code = '2026-spring' AND school_id = $1 AND outcome = 'undetermined' ORDER BY at",
    ),
    "ix_phone_change_batch": (
        "backend.identity.phone_changes.notifications:warn_proposed",
        "phone_change WHERE batch_id = $1",
    ),
    "ix_phone_change_school": (
        "backend.identity.phone_changes.queries:load_phone_changes_page",
        "phone_change WHERE school_id = $1 AND id < $2 ORDER BY id DESC LIMIT 51",
    ),
    "ix_phone_change_student": (
        "backend.identity.phone_changes.queries:load_own_phone_changes",
        "phone_change WHERE student_id = $1 ORDER BY id DESC LIMIT 100",
    ),
    "ix_picture_fingerprint_file": (
        "definer.find_shared_pictures",
        "picture_fingerprint WHERE file_index = $1",
    ),
    "ix_picture_fingerprint_pixel": (
        "definer.find_shared_pictures",
        "picture_fingerprint WHERE pixel_index = $1",
    ),
    "ix_picture_fingerprint_school": (
        "definer.find_shared_pictures",
        "picture_fingerprint WHERE school_id = $1",
    ),
    "ix_picture_fingerprint_student": (
        "backend.identity.face.shared_pictures:delete_picture_fingerprints",
        "picture_fingerprint WHERE student_id = ANY ($1)",
    ),
    "ix_portrait_student": (
        "backend.identity.face.portraits:load_newest_portrait",
        "portrait WHERE student_id = $1 ORDER BY submitted_at DESC LIMIT 1",
    ),
    "ix_prompt_raised_at": (
        "backend.standing.prompts.queries:load_prompts_page",
        "prompt WHERE (raised_at, id) < ($1, $2) ORDER BY raised_at DESC, id DESC LIMIT 51",
    ),
    "ix_prompt_school": (
        "backend.standing.prompts.queries:_select_ids",
        "prompt WHERE school_id = $1 ORDER BY raised_at DESC LIMIT 51",
    ),
    "ix_prompt_student": (
        "backend.standing.change_requests.queries:load_open_prompt_ids",
        "prompt WHERE student_id = $1 ORDER BY raised_at",
    ),
    "ix_prompt_decision_prompt": (
        "backend.standing.prompts.queries:_load_decisions",
        "prompt_decision WHERE prompt_id = $1 ORDER BY at",
    ),
    "ix_prompt_decision_student": (
        "backend.standing.store.load:_read_decisions",
        "prompt_decision WHERE student_id = ANY ($1)",
    ),
    "ix_prompt_statement_prompt": (
        "backend.standing.prompts.queries:_load_statements",
        "prompt_statement WHERE prompt_id = $1",
    ),
    "ix_prompt_step_student": (
        "backend.standing.store.save_prompts:load_steps_in_effect",
        "prompt_step WHERE student_id = ANY ($1) ORDER BY prompt_id, seq",
    ),
    "ix_quarantined_enrolment_holder": (
        "backend.standing.transfers.queries:load_quarantine_page",
        "quarantined_enrolment WHERE holder_school_id = $1 ORDER BY id DESC LIMIT 51",
    ),
    "ix_quarantined_enrolment_school": (
        "backend.exchange.roster.quarantine:quarantine_rows",
        "quarantined_enrolment WHERE school_id = $1 AND id_number_index = $2",
    ),
    "ix_reason_claim_roll_call": (
        "backend.standing.claims.queries:load_claims_page",
        "reason_claim WHERE roll_call_id = $1",
    ),
    "ix_reason_claim_student": (
        "backend.standing.claims.queries:load_claims_page",
        "reason_claim WHERE student_id = $1",
    ),
    "ix_record_check_student": (
        "backend.identity.student_record:load_own_checks",
        "record_check WHERE student_id = $1 ORDER BY at DESC LIMIT 1",
    ),
    "ix_refusal_student": (
        "backend.roll_call.student_queries:load_refusals",
        (
            "refusal WHERE term_code = '2026-spring' AND roll_call_id = $1 AND student_id = $2 AND school_id = $3"
            " ORDER BY at"
        ),
    ),
    "ix_registration_jkt": ("definer.open_registration", "registration WHERE jkt = $1 AND created_at > $2"),
    "ix_registration_student": (
        "definer.open_registration",
        "registration WHERE student_id = $1 AND created_at > $2",
    ),
    "ix_roll_call_closes_at": ("definer.due_roll_calls", "roll_call WHERE closes_at < $1"),
    "ix_roll_call_school_school": (
        "backend.roll_call.facts_for_standing:_load_headers",
        "roll_call_school WHERE school_id = ANY ($1)",
    ),
    "ix_site_area_exception_school": (
        "backend.campus.area_exceptions:load_site_limits",
        "site_area_exception WHERE school_id = $1 AND granted_at <= $2 ORDER BY granted_at DESC LIMIT 1",
    ),
    "ix_site_version_school": (
        "backend.campus.queries:effective_versions",
        "site_version WHERE school_id = ANY ($1)",
    ),
    "ix_evidence_completed_student_id": (
        "backend.standing.store.load:_read_evidence",
        "evidence_completed WHERE student_id = ANY ($1) ORDER BY at, roll_call_id, part",
    ),
    "ix_late_leave_answer_student_id": (
        "backend.standing.store.load:_read_leave_answers",
        "late_leave_answer WHERE student_id = ANY ($1) ORDER BY at, leave_id",
    ),
    "ix_prompt_closed_student_id": (
        "backend.standing.store.load:_read_closures",
        "prompt_closed WHERE student_id = ANY ($1) ORDER BY at, prompt_id",
    ),
    "ix_standing_edit_student": (
        "backend.standing.store.load:_read_edits",
        "standing_edit WHERE student_id = ANY ($1) ORDER BY at, id",
    ),
    "ix_standing_entry_school": (
        "backend.standing.ledger.queries:load_changes_page",
        "standing_entry WHERE school_id = $1 AND at >= $2 AND at < $3",
    ),
    "ix_attestation_sampled": (
        "backend.roll_call.attestation.escalation:load_unreviewed_samples",
        "attestation WHERE sampled AND at <= $1 ORDER BY at LIMIT 200",
    ),
    "ix_duplicate_candidate_school": (
        "backend.identity.face.duplicates.candidates:_load_week_scores",
        "duplicate_candidate WHERE school_id = ANY ($1) AND at >= $2",
    ),
    "ix_look_request_student": (
        "backend.roll_call.looks.requests:_load_earlier",
        "look_request WHERE term_code = ANY ($1) AND (roll_call_id, student_id) IN (($2, $3))",
    ),
    "ix_look_request_expires_at": (
        "backend.roll_call.looks.queries:is_open",
        "look_request WHERE expires_at > $1 ORDER BY expires_at, id LIMIT 51",
    ),
    "ix_look_answer_roll_call": (
        "backend.roll_call.attestation.limits:_count",
        "look_answer WHERE roll_call_id = $1 AND class_id = $2",
    ),
    "ix_wrong_card_code_attester": (
        "backend.roll_call.attestation.card_codes:require_codes_left",
        "wrong_card_code WHERE attested_by = $1 AND at > $2",
    ),
    "ix_wrong_card_code_student": (
        "backend.roll_call.attestation.card_codes:require_codes_left",
        "wrong_card_code WHERE student_id = $1 AND at > $2",
    ),
    "ix_standing_warning_student": (
        "backend.standing.store.replay:load_stored",
        "standing_warning WHERE student_id = ANY ($1) ORDER BY at",
    ),
    "ix_carry_over_permission_school": (
        "backend.registration.new_students:load_school_intake",
        "carry_over_permission WHERE school_id = $1 AND until >= $2",
    ),
    "ix_school_inspection_school": (
        "backend.registration.schools.files:_load",
        "school_inspection WHERE school_id = $1 AND year = $2 ORDER BY id",
    ),
    "ix_school_licence_school": (
        "backend.registration.schools.files:_load",
        "school_licence WHERE school_id = $1 ORDER BY id",
    ),
    "ix_school_measure_school": (
        "backend.registration.schools.files:_load",
        "school_measure WHERE school_id = $1 ORDER BY id",
    ),
    "ix_student_registration_school": (
        "backend.registration.queries:load_registration_page",
        "student_registration WHERE school_id = $1 ORDER BY season",
    ),
    "ix_student_registration_season": (
        "backend.registration.queries:_conditions",
        "student_registration WHERE season = $1 ORDER BY student_id DESC LIMIT 51",
    ),
    "ix_student_class": ("backend.people.queries:_select_classes", "student WHERE class_id = $1"),
    "ix_student_enrolled_school": (
        "backend.campus.schools:load_school_page",
        (
            "student WHERE school_id = ANY ($1)"
            " AND standing NOT IN ('03', '07', '08', '09', '10', '11', '14', '99') GROUP BY school_id"
        ),
    ),
    "ix_student_name": (
        "backend.people.queries:load_student_page",
        'student ORDER BY name COLLATE "zh-x-icu", id LIMIT 51',
    ),
    "ix_student_name_characters": (
        "definer.students_named",
        "student WHERE string_to_array(name_key, NULL) @> string_to_array($1, NULL)",
    ),
    "ix_student_id_number_index": (
        "backend.people.queries:matches_search",
        "student WHERE id_number_index = $1",
    ),
    "ix_student_code_student": (
        "backend.roll_call.attestation.card_codes:is_valid_code",
        "student_code WHERE student_id = $1 ORDER BY issued_at DESC LIMIT 1",
    ),
    "ix_student_standing_next_at": ("definer.due_standings", "student_standing WHERE next_at <= $1"),
    "ix_student_standing_school": (
        "backend.standing.notifications.reminders:_load_due_reminders",
        "student_standing WHERE school_id = $1",
    ),
    "ix_submission_frames_kept": (
        "backend.retention.frames:find_expired_frames",
        "submission WHERE frames_deleted_at IS NULL AND received_at <= $1 ORDER BY received_at LIMIT 500",
    ),
    "ix_submission_envelope_kept": (
        "backend.retention.positions:find_expired_envelopes",
        (
            "submission WHERE frames_deleted_at IS NOT NULL AND envelope_deleted_at IS NULL AND received_at <= $1"
            " ORDER BY received_at LIMIT 500"
        ),
    ),
    "ix_attestation_position_kept": (
        "backend.retention.positions:find_expired_attester_positions",
        "attestation WHERE position_deleted_at IS NULL AND at <= $1 ORDER BY at LIMIT 500",
    ),
    "ix_guardian_link_expires_at": (
        "backend.retention.guardian_links:find_expired_links",
        "guardian_link WHERE expires_at <= $1 ORDER BY expires_at LIMIT 500",
    ),
    **{
        f"ix_{table}_guardian_link": (
            "backend.retention.guardian_links:find_expired_links",
            f"{table} WHERE guardian_link_id = $1",
        )
        for table in ("reason_claim", "prompt_statement", "appeal_filed")
    },
    "ix_push_subscription_renewed_at": (
        "backend.retention.push_subscriptions:find_expired_subscriptions",
        "push_subscription WHERE renewed_at <= $1 ORDER BY renewed_at LIMIT 500",
    ),
    "ix_guardian_link_student": (
        "backend.people.guardians:revoke_links",
        "guardian_link WHERE student_id = $1 AND revoked_at IS NULL",
    ),
    "ix_picture_view_at": (
        "backend.retention.picture_views:find_expired_views",
        "picture_view WHERE at <= $1 ORDER BY at LIMIT 500",
    ),
    "ix_submission_student": (
        "backend.roll_call.student_queries:load_submissions",
        (
            "submission WHERE term_code = '2026-spring' AND roll_call_id = $1 AND student_id = $2 AND school_id = $3"
            " ORDER BY received_at"
        ),
    ),
    "ix_submission_frame_as_sent": (
        "backend.retention.frame_reencoding:_load_verified_frames",
        "submission_frame WHERE kept_sha256 IS NULL ORDER BY received_at LIMIT 500",
    ),
    "ix_submission_frame_sha256": (
        "definer.submissions_with_reused_frames",
        "submission_frame WHERE sha256 = $1",
    ),
    "ix_reminder_roll_call": (
        "backend.roll_call.reminders:_load_recent_reminders",
        "reminder WHERE term_code = '2026-spring' AND roll_call_id = $1 AND school_id = $2 AND at > $3",
    ),
    "ix_vacation_term_id": ("backend.org.terms:load_term_views", "vacation WHERE term_id = ANY ($1)"),
    "ix_verdict_student": (
        "backend.roll_call.eligibility:load_verdict_reasons",
        (
            "verdict WHERE term_code = '2026-spring' AND roll_call_id = $1 AND school_id = $2"
            " AND student_id = $3"
        ),
    ),
    "ix_verification_task_dead": (
        "backend.roll_call.verification.dead_letters:load_dead_letters",
        (
            "verification_task WHERE state = 'dead' AND (died_at, submission_id) < ($1, $2)"
            " ORDER BY died_at DESC, submission_id DESC LIMIT 51"
        ),
    ),
    "ix_verification_task_leased": (
        "definer.claim_verifications",
        "verification_task WHERE state = 'leased' AND lease_until <= $1 ORDER BY lease_until LIMIT 1",
    ),
    "ix_verification_task_of_school": (
        "definer.claim_verifications",
        (
            "verification_task WHERE state = 'waiting' AND school_id = $1 AND not_before <= $2"
            " ORDER BY not_before LIMIT 16"
        ),
    ),
    "ix_verification_task_waiting": (
        "definer.claim_verifications",
        "verification_task WHERE state = 'waiting' AND not_before <= $1 ORDER BY not_before LIMIT 1",
    ),
}
