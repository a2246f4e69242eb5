-- Finds the student who is enrolled under this keyed hash of an ID number, in any school. There is one at most
-- (`uq_student_enrolled`).
-- Called by: backend/exchange/roster/quarantine.py, backend/exchange/roster/registration.py
-- Why it bypasses row-level security: a school may not see the students of another one, and an import must not enrol
-- a person twice. It returns ids and the school's path, no personal data.
CREATE OR REPLACE FUNCTION definer.find_enrolled_student(p_id_number_index bytea)
RETURNS TABLE (student_id uuid, school_id uuid, school_path text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  SELECT s.id, s.school_id, u.path::text FROM student s JOIN org_unit u ON u.id = s.school_id
  WHERE s.id_number_index = p_id_number_index
    AND s.standing NOT IN ('03', '07', '08', '09', '10', '11', '14', '99');
END;
