-- Returns the student and the school of a registration.
-- Called by: backend/identity/unscoped_queries.py
-- Why it bypasses row-level security: the scope of the registration is only known from this answer.
CREATE OR REPLACE FUNCTION definer.registration(p_id uuid)
RETURNS TABLE (student_id uuid, school_id uuid, school_path text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  SELECT r.student_id, r.school_id, u.path::text
  FROM registration r JOIN org_unit u ON u.id = r.school_id WHERE r.id = p_id;
END;
