-- Leases waiting verification tasks to a worker: one whose lease ran out, else up to `p_batch_size` of the school
-- with the oldest task. Tasks that lost their worker `p_max_attempts` times become dead.
-- Called by: backend/roll_call/verification/queue.py
-- Why it bypasses row-level security: a worker serves every school. It learns only which scope to take.
CREATE OR REPLACE FUNCTION definer.claim_verifications(
  p_worker text, p_now timestamptz, p_lease_until timestamptz, p_batch_size integer, p_max_attempts integer
)
RETURNS TABLE (submission_id uuid, school_id uuid, attempts smallint, fence bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE claimed uuid[]; oldest_school uuid;
BEGIN
  UPDATE verification_task
  SET state = 'dead', died_at = p_now, lease_until = NULL, last_error = 'worker_lost'
  WHERE submission_id IN (SELECT submission_id FROM verification_task
                          WHERE state = 'leased' AND lease_until <= p_now AND attempts >= p_max_attempts
                          FOR UPDATE SKIP LOCKED);
  -- Its worker died or hangs. It is leased alone: if it was the cause, no other task fails with it.
  claimed := ARRAY(SELECT submission_id FROM verification_task
                   WHERE state = 'leased' AND lease_until <= p_now
                   ORDER BY lease_until LIMIT 1 FOR UPDATE SKIP LOCKED);
  IF cardinality(claimed) = 0 THEN
    -- The oldest task decides which school; further tasks of the school share what is loaded for it.
    SELECT school_id INTO oldest_school FROM verification_task
    WHERE state = 'waiting' AND not_before <= p_now
    ORDER BY not_before LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
      RETURN;
    END IF;
    claimed := ARRAY(SELECT submission_id FROM verification_task
                     WHERE state = 'waiting' AND school_id = oldest_school AND not_before <= p_now
                     ORDER BY not_before LIMIT p_batch_size FOR UPDATE SKIP LOCKED);
  END IF;
  RETURN QUERY
  UPDATE verification_task t
  SET state = 'leased', worker = p_worker, lease_until = p_lease_until, attempts = t.attempts + 1,
      fence = nextval('verification_fence')
  WHERE t.submission_id = ANY (claimed)
  RETURNING t.submission_id, t.school_id, t.attempts, t.fence;
END
$$;
