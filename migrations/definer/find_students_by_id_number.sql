-- Finds the students with this keyed hash of an ID number, in any school.
-- Called by: backend/exchange/roster/importer.py
-- Why it bypasses row-level security: a school may not see the students of another one, and an import must still
-- report that a student is registered elsewhere. It returns ids and the school's path, no personal data.
CREATE OR REPLACE FUNCTION definer.find_students_by_id_number(p_id_number_index bytea)
RETURNS TABLE (student_id uuid, school_id uuid, school_path text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  SELECT s.id, s.school_id, u.path::text FROM student s JOIN org_unit u ON u.id = s.school_id
  WHERE s.id_number_index = p_id_number_index;
END;
