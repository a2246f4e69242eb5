-- Returns those of the submissions that contain a frame which another submission sent earlier.
-- Called by: backend/roll_call/verification/inputs.py
-- Why it bypasses row-level security: the frame may have been sent by a student of any school.
CREATE OR REPLACE FUNCTION definer.submissions_with_reused_frames(p_submissions uuid[])
RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  -- Only earlier frames count: a copy must not invalidate its original. The time of the frame counts and not that
  -- of the envelope: otherwise a copy could be announced first and sent last.
  SELECT DISTINCT own.submission_id FROM submission_frame own
  JOIN submission_frame other ON other.sha256 = own.sha256 AND other.submission_id <> own.submission_id
  WHERE own.submission_id = ANY (p_submissions)
    AND (other.received_at, other.submission_id) < (own.received_at, own.submission_id);
END;
