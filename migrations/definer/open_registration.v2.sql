-- Starts the registration of a student on a phone. Returns false if the phone asked for too many codes.
-- An unknown student gets a registration as well, so that the answer does not tell whether the student exists.
-- Names are compared by their keys (backend/core/match_keys.py).
-- Called by: backend/identity/unscoped_queries.py
-- Why it bypasses row-level security: before registration the phone has no scope.
CREATE OR REPLACE FUNCTION definer.open_registration(p_id uuid, p_jkt text, p_jwk jsonb, p_index bytea, p_name_key text,
  p_at timestamptz, p_expires timestamptz, p_since timestamptz, p_codes int, p_failures int)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  matching_student uuid; matching_school uuid; recent_registrations bigint; failed_tries bigint;
BEGIN
  SELECT count(*) INTO recent_registrations FROM registration r WHERE r.jkt = p_jkt AND r.created_at > p_since;
  IF recent_registrations >= p_codes THEN RETURN false; END IF;
  SELECT s.id, s.school_id INTO matching_student, matching_school FROM student s
    WHERE s.id_number_index = p_index AND s.name_key = p_name_key
    ORDER BY s.created_at DESC, s.id DESC LIMIT 1;
  SELECT count(*), coalesce(sum(r.tries), 0) INTO recent_registrations, failed_tries FROM registration r
    WHERE r.student_id = matching_student AND r.created_at > p_since;
  -- After too many guesses at a student's code no further code is sent for a while; the answer does not show it.
  IF recent_registrations >= p_codes OR failed_tries >= p_failures THEN
    matching_student := NULL; matching_school := NULL;
  END IF;
  INSERT INTO registration (id, school_id, student_id, jkt, public_jwk, created_at, expires_at, tries)
    VALUES (p_id, matching_school, matching_student, p_jkt, p_jwk, p_at, p_expires, 0);
  RETURN true;
END $$;
