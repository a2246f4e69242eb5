-- Checks the codes that a phone sent for its registration and counts a failed try. Locks the registration.
-- p_hash is the one-time code of the SMS, p_in_person the code that staff gave to the student in person. The latter alone
-- is enough only where too many messages were requested and the real name was verified, so that a flood of requests does
-- not close the way for the student.
-- `verdict` is unknown, expired, exhausted, wrong or match.
-- Called by: backend/identity/unscoped_queries.py
-- Why it bypasses row-level security: before registration the phone has no scope.
CREATE OR REPLACE FUNCTION definer.try_code(
  p_id uuid, p_jkt text, p_hash bytea, p_in_person bytea, p_at timestamptz, p_max int)
RETURNS TABLE (verdict text, student_id uuid, school_id uuid, school_path text, by_sms boolean, binding_code_id uuid)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  pending registration;
BEGIN
  SELECT * INTO pending FROM registration r WHERE r.id = p_id AND r.jkt = p_jkt FOR UPDATE;
  IF NOT FOUND THEN verdict := 'unknown';
  ELSIF pending.expires_at <= p_at THEN verdict := 'expired';
  ELSIF pending.tries >= p_max THEN verdict := 'exhausted';
  ELSE
    SELECT b.id INTO binding_code_id FROM binding_code b
      WHERE b.code_hash = p_in_person AND b.student_id = pending.student_id AND b.expires_at > p_at
        AND (b.used_at IS NULL OR b.registration_id = p_id);
    by_sms := p_hash IS NOT NULL AND coalesce(pending.otp_hash = p_hash, false);
    IF (p_hash IS NOT NULL AND NOT by_sms) OR (p_in_person IS NOT NULL AND binding_code_id IS NULL)
       OR NOT (by_sms OR (binding_code_id IS NOT NULL AND pending.refused_reason IS NOT DISTINCT FROM 'too_many_codes' AND EXISTS (
         SELECT FROM registration r WHERE r.student_id = pending.student_id AND r.verified_at IS NOT NULL))) THEN
      UPDATE registration r SET tries = r.tries + 1 WHERE r.id = p_id;
      verdict := 'wrong';
    ELSE
      verdict := 'match';
      student_id := pending.student_id;
      school_id := pending.school_id;
      SELECT u.path::text INTO school_path FROM org_unit u WHERE u.id = pending.school_id;
    END IF;
  END IF;
  RETURN NEXT;
END $$;
