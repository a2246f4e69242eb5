-- Lists the schools with a student whose standing must be assessed again by this instant.
-- A student with a replay difference is left out: the assessment saves nothing for them until a person has
-- decided, so the task would find them again every minute. The daily assessment still includes them.
-- Called by: backend/standing/tasks.py, backend/standing/batch_assessment.py
-- Why it bypasses row-level security: a scheduled task has no scope; it takes the scope of each school returned.
CREATE OR REPLACE FUNCTION definer.due_standings(p_now timestamptz)
RETURNS TABLE (school_id uuid, path text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  SELECT DISTINCT u.id, CAST(u.path AS text) FROM student_standing s
  JOIN org_unit u ON u.id = s.school_id
  WHERE s.next_at <= p_now
    AND NOT EXISTS (SELECT 1 FROM replay_difference r WHERE r.student_id = s.student_id);
END;
