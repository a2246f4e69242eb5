-- Returns whether a phone's key opened this registration, for a student on a roster or not.
-- Called by: backend/identity/unscoped_queries.py
-- Why it bypasses row-level security: a registration of a person who is on no roster belongs to no school.
CREATE OR REPLACE FUNCTION definer.owns_registration(p_id uuid, p_jkt text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  SELECT EXISTS (SELECT FROM registration r WHERE r.id = p_id AND r.jkt = p_jkt);
END;
