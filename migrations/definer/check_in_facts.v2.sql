-- Locks the check-ins of a batch, records their DPoP proofs as used, and returns the facts to evaluate each one with.
--
-- Element i of every array belongs to envelope i: the thumbprint of the key that signed the request, the id of its
-- proof, the roll call, the nonce of the challenge, and the time at which the envelope counts as arrived.
--
-- A request whose locks are taken elsewhere is left out of the result, and its proof stays unused. With `p_wait`
-- (and exactly one element) the function waits for the locks instead. It takes the locks in the order of
-- backend/roll_call/outcomes.py. Only an envelope in time takes the shared lock that keeps the roll call open.
-- Under READ COMMITTED each statement below sees what was committed before it began, so also what the function
-- waited for.
-- Called by: backend/roll_call/check_in/repository.py
-- Why it bypasses row-level security: a batch holds envelopes of many students and schools, so no scope fits it.
CREATE OR REPLACE FUNCTION definer.check_in_facts(p_jkt text[], p_jti text[], p_roll_call uuid[], p_nonce text[],
  p_at timestamptz[], p_now timestamptz, p_wait boolean)
RETURNS TABLE (n bigint, fresh boolean, account_id uuid, account_status text, key_status text, student_id uuid,
  school_id uuid, cool_down_until timestamptz, place text, launched_at timestamptz, opens_at timestamptz, closes_at timestamptz,
  duty text, duty_reason text, voided boolean, settled boolean, outcome text, without_face boolean, gaps text[],
  findings jsonb, nonce_until timestamptz, earlier_id uuid, earlier_receipt text, earlier_due timestamptz,
  earlier_digest bytea, recent bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  locked_requests bigint[]; new_proofs text[];
BEGIN
  IF p_wait THEN
    PERFORM pg_advisory_xact_lock(hashtextextended(p_roll_call[1] || '/' || d.student_id, 0))
      FROM device_key d WHERE d.jkt = p_jkt[1];
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('settle/' || r.id, 0))
      FROM roll_call r WHERE r.id = p_roll_call[1] AND p_at[1] <= greatest(r.closes_at,
        (SELECT max(x.until) FROM roll_call_extension x WHERE x.roll_call_id = r.id));
    locked_requests := ARRAY[1];
  ELSE
    SELECT coalesce(array_agg(tried.i), '{}') INTO locked_requests FROM (
      SELECT request.i,
        (d.student_id IS NULL
         OR pg_try_advisory_xact_lock(hashtextextended(request.roll_call || '/' || d.student_id, 0)))
        AND (r.id IS NULL
             OR request.at > greatest(r.closes_at, (SELECT max(x.until) FROM roll_call_extension x
                                                    WHERE x.roll_call_id = r.id))
             OR pg_try_advisory_xact_lock_shared(hashtextextended('settle/' || r.id, 0))) AS locked
      FROM unnest(p_jkt, p_roll_call, p_at) WITH ORDINALITY AS request(jkt, roll_call, at, i)
      LEFT JOIN device_key d ON d.jkt = request.jkt
      LEFT JOIN roll_call r ON r.id = request.roll_call
    ) tried WHERE tried.locked;
  END IF;
  WITH used AS (
    INSERT INTO dpop_proof (jkt, jti, seen_at)
    SELECT request.jkt, request.jti, p_now FROM unnest(p_jkt, p_jti) WITH ORDINALITY AS request(jkt, jti, i)
    WHERE request.i = ANY (locked_requests) ORDER BY request.jkt, request.jti
    ON CONFLICT DO NOTHING RETURNING dpop_proof.jkt || ' ' || dpop_proof.jti AS proof
  ) SELECT coalesce(array_agg(used.proof), '{}') INTO new_proofs FROM used;
  RETURN QUERY
  SELECT request.i, request.jkt || ' ' || request.jti = ANY (new_proofs), account.id, account.status::text,
    d.status::text, d.student_id, o.school_id, d.cool_down_until, call.place::text, call.launched_at, call.opens_at,
    greatest(call.closes_at, (SELECT max(x.until) FROM roll_call_extension x WHERE x.roll_call_id = call.id)),
    o.duty::text, o.reason::text,
    EXISTS (SELECT 1 FROM roll_call_step s WHERE s.roll_call_id = call.id AND s.step = 'voided'),
    EXISTS (SELECT 1 FROM roll_call_step s WHERE s.roll_call_id = call.id AND s.step = 'settled'),
    (SELECT e.outcome::text FROM outcome_entry e WHERE e.term_code = call.term_code AND e.roll_call_id = call.id
     AND e.student_id = d.student_id ORDER BY e.seq DESC LIMIT 1),
    face.has_route,
    array_remove(ARRAY[
      CASE WHEN d.status <> 'active' THEN 'account' END,
      CASE WHEN NOT EXISTS (SELECT 1 FROM record_check c WHERE c.student_id = d.student_id) THEN 'record_check' END,
      CASE WHEN NOT consents.location THEN 'location_consent' END,
      CASE WHEN NOT (face.has_route OR (face.has_template AND consents.face_use AND consents.storage)) THEN 'face' END,
      CASE WHEN NOT EXISTS (SELECT 1 FROM portrait p WHERE p.student_id = d.student_id
                            AND p.status IN ('accepted', 'review')) THEN 'portrait' END], NULL),
    (SELECT jsonb_agg(v.reasons) FROM verdict v WHERE v.term_code = call.term_code AND v.roll_call_id = call.id
     AND v.student_id = d.student_id),
    (SELECT c.expires_at FROM challenge c WHERE c.term_code = call.term_code AND c.school_id = o.school_id
     AND c.nonce = request.nonce AND c.student_id = d.student_id AND c.roll_call_id = call.id
     AND c.key_thumbprint = request.jkt),
    earlier.id, earlier.receipt::text, earlier.frames_due_at, earlier.envelope_digest,
    (SELECT count(*) FROM submission s WHERE s.term_code = call.term_code AND s.roll_call_id = call.id
     AND s.student_id = d.student_id AND s.received_at > request.at - interval '1 minute')
  FROM unnest(p_jkt, p_jti, p_roll_call, p_nonce, p_at) WITH ORDINALITY AS request(jkt, jti, roll_call, nonce, at, i)
  LEFT JOIN device_key d ON d.jkt = request.jkt
  LEFT JOIN account ON account.student_id = d.student_id
  LEFT JOIN roll_call requested ON requested.id = request.roll_call
  LEFT JOIN obligation o ON o.term_code = requested.term_code AND o.roll_call_id = requested.id
    AND o.student_id = d.student_id
  -- Joined through the obligation: a student learns nothing of a roll call that does not address them.
  LEFT JOIN roll_call call ON call.id = o.roll_call_id AND call.notify_at <= request.at
  LEFT JOIN submission earlier ON earlier.term_code = call.term_code AND earlier.school_id = o.school_id
    AND earlier.nonce = request.nonce AND earlier.student_id = d.student_id AND earlier.roll_call_id = call.id
  CROSS JOIN LATERAL (SELECT
    coalesce((SELECT f.chosen FROM non_face_route f WHERE f.student_id = d.student_id
              ORDER BY f.at DESC, f.id DESC LIMIT 1), false) AS has_route,
    EXISTS (SELECT 1 FROM face_template f WHERE f.student_id = d.student_id AND f.status = 'active') AS has_template
  ) face
  CROSS JOIN LATERAL (SELECT
    coalesce((SELECT c.granted FROM consent c WHERE c.student_id = d.student_id AND c.kind = 'location'
              ORDER BY c.at DESC, c.id DESC LIMIT 1), false) AS location,
    coalesce((SELECT c.granted FROM consent c WHERE c.student_id = d.student_id AND c.kind = 'face_use'
              ORDER BY c.at DESC, c.id DESC LIMIT 1), false) AS face_use,
    coalesce((SELECT c.granted FROM consent c WHERE c.student_id = d.student_id AND c.kind = 'face_template_storage'
              ORDER BY c.at DESC, c.id DESC LIMIT 1), false) AS storage
  ) consents
  WHERE request.i = ANY (locked_requests);
END $$;
