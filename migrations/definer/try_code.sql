-- Checks the code that a phone sent for its registration and counts a failed try. Locks the registration.
-- `verdict` is unknown, expired, exhausted, wrong or match.
-- Called by: backend/identity/unscoped_queries.py
-- Why it bypasses row-level security: before registration the phone has no scope.
CREATE OR REPLACE FUNCTION definer.try_code(p_id uuid, p_jkt text, p_hash bytea, p_at timestamptz, p_max int)
RETURNS TABLE (verdict text, student_id uuid, school_id uuid, school_path text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  pending registration;
BEGIN
  SELECT * INTO pending FROM registration r WHERE r.id = p_id AND r.jkt = p_jkt FOR UPDATE;
  IF NOT FOUND THEN verdict := 'unknown';
  ELSIF pending.expires_at <= p_at THEN verdict := 'expired';
  ELSIF pending.tries >= p_max THEN verdict := 'exhausted';
  ELSIF pending.otp_hash IS DISTINCT FROM p_hash THEN
    UPDATE registration r SET tries = r.tries + 1 WHERE r.id = p_id;
    verdict := 'wrong';
  ELSE
    verdict := 'match';
    student_id := pending.student_id;
    school_id := pending.school_id;
    SELECT u.path::text INTO school_path FROM org_unit u WHERE u.id = pending.school_id;
  END IF;
  RETURN NEXT;
END $$;
