-- Returns the obligations of a roll call that have no outcome yet, to its launcher and the units above it only.
-- Called by: backend/roll_call/settlement/open_obligations.py
-- Why it bypasses row-level security: the policy would be evaluated for each of a million rows, and would hide
-- from the planner how many there are. The function checks the launcher's path itself, once.
CREATE OR REPLACE FUNCTION definer.open_obligations(p_roll_call uuid)
RETURNS TABLE (student_id uuid, school_id uuid, class_id uuid, duty varchar, reason varchar)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET work_mem = '64MB'
SET enable_nestloop = off -- without statistics on a new roll call the planner expects one row and loops a million times
AS $$
DECLARE
  term varchar := (SELECT r.term_code FROM roll_call r WHERE r.id = p_roll_call);
BEGIN
  IF tenancy.student() IS NOT NULL
     OR NOT coalesce(definer.launcher_path_of(p_roll_call) <@ tenancy.path(), false) THEN
    RETURN;
  END IF;
  RETURN QUERY SELECT o.student_id, o.school_id, o.class_id, o.duty, o.reason FROM obligation o
    WHERE o.term_code = term AND o.roll_call_id = p_roll_call AND o.duty <> 'exempt' AND NOT EXISTS
      (SELECT 1 FROM outcome_entry e
       WHERE e.term_code = term AND e.roll_call_id = p_roll_call AND e.student_id = o.student_id);
END
$$;
