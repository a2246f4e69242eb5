-- Deletes the content of a student's templates that were replaced or refused. The rows stay.
-- Called by: backend/identity/face/templates.py
-- Why it bypasses row-level security: the application may not change the content of a template, so that none in use
-- can be overwritten. This function can only empty those that no check reads any more.
CREATE OR REPLACE FUNCTION definer.erase_ended_templates(p_student uuid) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  WITH erased AS (
    UPDATE face_template SET sealed = '' WHERE student_id = p_student AND status IN ('replaced', 'refused')
    RETURNING 1
  ) SELECT count(*) FROM erased;
END;
