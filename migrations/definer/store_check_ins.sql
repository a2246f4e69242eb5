-- Stores an evaluated batch: submissions with their envelopes, and refusals. Returns the number of rows written.
-- School and term come from the student's obligation, so the envelope of a student outside the audience cannot be
-- stored.
-- Called by: backend/roll_call/check_in/repository.py
-- Why it bypasses row-level security: a batch holds envelopes of many students and schools, so no scope fits it.
CREATE OR REPLACE FUNCTION definer.store_check_ins(p_submissions json, p_envelopes text[], p_refusals json)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  rows_written bigint;
BEGIN
  WITH stored AS (
    INSERT INTO submission (id, roll_call_id, school_id, term_code, student_id, nonce, key_thumbprint, in_cool_down, envelope,
      envelope_digest, frame_count, receipt, received_at, frames_due_at)
    SELECT s.id, o.roll_call_id, o.school_id, o.term_code, o.student_id, s.nonce, s.jkt, s.in_cool_down, p_envelopes[s.n],
      decode(s.digest, 'hex'), s.frames, s.receipt, s.received_at, s.frames_due_at
    FROM json_to_recordset(p_submissions) AS s(n int, id uuid, roll_call uuid, student uuid, nonce text, jkt text,
      in_cool_down boolean, digest text, frames smallint, receipt text, received_at timestamptz,
      frames_due_at timestamptz)
    JOIN roll_call c ON c.id = s.roll_call
    JOIN obligation o ON o.term_code = c.term_code AND o.roll_call_id = c.id AND o.student_id = s.student
    RETURNING 1
  ), refused AS (
    INSERT INTO refusal (id, roll_call_id, school_id, term_code, student_id, step, code, detail, envelope_digest, at)
    SELECT r.id, o.roll_call_id, o.school_id, o.term_code, o.student_id, 'envelope', r.code, r.detail, decode(r.digest, 'hex'), r.at
    FROM json_to_recordset(p_refusals) AS r(id uuid, roll_call uuid, student uuid, code text, detail jsonb, digest text,
      at timestamptz)
    JOIN roll_call c ON c.id = r.roll_call
    JOIN obligation o ON o.term_code = c.term_code AND o.roll_call_id = c.id AND o.student_id = r.student
    RETURNING 1
  )
  SELECT (SELECT count(*) FROM stored) + (SELECT count(*) FROM refused) INTO rows_written;
  RETURN rows_written;
END $$;
