-- Lists the schools whose students were not assessed on this legal day.
-- Called by: backend/standing/tasks.py
-- Why it bypasses row-level security: a scheduled task has no scope; it takes the scope of each school returned.
CREATE OR REPLACE FUNCTION definer.unassessed_schools(p_day date)
RETURNS TABLE (school_id uuid, path text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  SELECT u.id, CAST(u.path AS text) FROM org_unit u
  WHERE u.kind = 'school'
    AND NOT EXISTS (SELECT 1 FROM daily_assessment d WHERE d.school_id = u.id AND d.legal_day = p_day);
END;
