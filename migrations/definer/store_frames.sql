-- Stores a batch of frames and enqueues the verification of each submission whose frames are now complete.
-- Returns every submission of the batch and whether it is complete.
-- Called by: backend/roll_call/check_in/frames.py
-- Why it bypasses row-level security: a batch holds frames of many students and schools, so no scope fits it.
CREATE OR REPLACE FUNCTION definer.store_frames(p_frames json) RETURNS TABLE (submission_id uuid, complete boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  submissions uuid[]; with_new_frames uuid[];
BEGIN
  SELECT array_agg(b.submission ORDER BY b.submission) INTO submissions
    FROM (SELECT DISTINCT f.submission FROM json_to_recordset(p_frames) AS f(submission uuid)) b;
  -- One lock per submission, taken in one order: exactly one transaction finds the submission complete.
  PERFORM pg_advisory_xact_lock(hashtextextended(CAST(b.id AS text), 0)) FROM unnest(submissions) AS b(id);
  WITH inserted AS (
    INSERT INTO submission_frame (submission_id, position, school_id, term_code, student_id, sha256, size, evidence_key,
      received_at)
    SELECT s.id, f.position, s.school_id, s.term_code, s.student_id, decode(f.sha256, 'hex'), f.size, f.evidence_key, f.at
    FROM json_to_recordset(p_frames) AS f(submission uuid, "position" smallint, school uuid, student uuid, sha256 text, size int,
      evidence_key text, at timestamptz)
    JOIN submission s ON s.id = f.submission AND s.school_id = f.school AND s.student_id = f.student
    ON CONFLICT DO NOTHING RETURNING submission_frame.submission_id AS submission
  ) SELECT array_agg(inserted.submission) INTO with_new_frames FROM inserted;
  -- The same row as backend/roll_call/verification/queue.py writes under a scope.
  INSERT INTO verification_task (submission_id, roll_call_id, school_id, student_id, state, attempts, enqueued_at,
    not_before)
  SELECT s.id, s.roll_call_id, s.school_id, s.student_id, 'waiting', 0, received.at, received.at
  FROM submission s
  CROSS JOIN LATERAL (SELECT count(*) AS frames, max(f.received_at) AS at FROM submission_frame f
                      WHERE f.term_code = s.term_code AND f.submission_id = s.id) received
  WHERE s.id = ANY (with_new_frames) AND received.frames = s.frame_count
  ON CONFLICT DO NOTHING;
  RETURN QUERY SELECT s.id, (SELECT count(*) FROM submission_frame f WHERE f.term_code = s.term_code
                             AND f.submission_id = s.id) = s.frame_count
    FROM submission s WHERE s.id = ANY (submissions);
END $$;
