-- Starts the registration of a student on a phone. Returns false if the phone asked for too many codes.
-- An unknown student gets a registration as well, so that the answer does not tell whether the student exists.
-- Above the student's limit of codes an hour or a day it is refused, and no code is sent; the answer does not show it.
-- Wrong codes do not count against the student: each code has few tries, so the limit of codes limits guesses, too.
-- Names are compared by their keys (backend/core/match_keys.py).
-- Called by: backend/identity/unscoped_queries.py
-- Why it bypasses row-level security: before registration the phone has no scope.
CREATE OR REPLACE FUNCTION definer.open_registration(p_id uuid, p_jkt text, p_jwk jsonb, p_index bytea, p_name_key text,
  p_at timestamptz, p_expires timestamptz, p_since timestamptz, p_codes int, p_codes_of_day int)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  matching_student uuid; matching_school uuid; recent_codes bigint; codes_of_day bigint;
BEGIN
  SELECT count(*) INTO recent_codes FROM registration r WHERE r.jkt = p_jkt AND r.created_at > p_since;
  IF recent_codes >= p_codes THEN RETURN false; END IF;
  SELECT s.id, s.school_id INTO matching_student, matching_school FROM student s
    WHERE s.id_number_index = p_index AND s.name_key = p_name_key
    ORDER BY s.standing IN ('03', '07', '08', '09', '10', '11', '14', '99'), s.created_at DESC, s.id DESC LIMIT 1;
  SELECT count(*) FILTER (WHERE r.created_at > p_since), count(*) INTO recent_codes, codes_of_day FROM registration r
    WHERE r.student_id = matching_student AND r.created_at > p_at - interval '1 day'
      AND r.refused_reason IS DISTINCT FROM 'too_many_codes';
  INSERT INTO registration (id, school_id, student_id, jkt, public_jwk, created_at, expires_at, tries, refused_reason)
    VALUES (p_id, matching_school, matching_student, p_jkt, p_jwk, p_at, p_expires, 0,
      CASE WHEN recent_codes >= p_codes OR codes_of_day >= p_codes_of_day THEN 'too_many_codes' END);
  RETURN true;
END $$;
