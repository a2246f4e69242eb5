-- Finds the last record under this keyed hash of an ID number that a transfer out closed and that no other school has
-- continued yet.
-- Called by: backend/standing/transfers/records.py, backend/exchange/roster/registration.py
-- Why it bypasses row-level security: the new school may not see the students of the earlier one, and what is on file
-- there goes with the person. It returns ids, the school's path and the instant, no personal data.
CREATE OR REPLACE FUNCTION definer.find_transferred_student(p_id_number_index bytea)
RETURNS TABLE (student_id uuid, school_id uuid, school_path text, closed_by uuid, closed_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  SELECT s.id, s.school_id, u.path::text, e.id, e.at
  FROM student s JOIN org_unit u ON u.id = s.school_id
    JOIN standing_edit e ON e.student_id = s.id AND e.standing = '10'
  WHERE s.id_number_index = p_id_number_index AND s.standing = '10'
    AND NOT EXISTS (SELECT FROM student_transfer t WHERE t.holder_student_id = s.id)
  ORDER BY e.at DESC, e.id DESC LIMIT 1;
END;
