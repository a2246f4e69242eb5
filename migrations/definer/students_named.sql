-- The students of the scope whose normal form of the name contains a part, found by the index of its characters.
-- Called by: backend/people/queries.py
-- Why it bypasses row-level security: under a policy PostgreSQL uses an index only for leakproof operators. LIKE and the
-- operators of arrays are none, so every student of a province would be read. The function applies the scope itself, and
-- its caller reads the students under row-level security again. ROWS is low, and the names are found first, because the
-- planner expects policies to admit next to no row and would otherwise read all students to look for the few that match.
CREATE OR REPLACE FUNCTION definer.students_named(p_part text) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE ROWS 20 SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF NOT tenancy.is_wide() THEN
    RETURN;
  END IF;
  RETURN QUERY
  WITH named AS MATERIALIZED (
    SELECT s.id, s.school_id FROM student s
    WHERE string_to_array(s.name_key, NULL) @> string_to_array(p_part, NULL) AND position(p_part IN s.name_key) > 0)
  SELECT named.id FROM named
  WHERE named.school_id IN (SELECT u.id FROM org_unit u WHERE u.kind = 'school' AND u.path <@ (SELECT tenancy.path()));
END $$;
