-- Returns the submission that a frame belongs to, whether the frame at this position is stored already, and the wrapped
-- key of the student's pictures with the wrapped key of the school; both are NULL before the student's first picture.
-- Called by: backend/roll_call/check_in/frames.py
-- Why it bypasses row-level security: frames are stored in batches of many students, without a scope. The school
-- and the student are part of the key.
CREATE OR REPLACE FUNCTION definer.declared_frames(p_submission uuid, p_school uuid, p_student uuid, p_position int)
RETURNS TABLE (roll_call_id uuid, envelope text, frames_due_at timestamptz, launched_at timestamptz, place text,
  stored boolean, picture_key bytea, root_version text, school_key bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  SELECT s.roll_call_id, s.envelope, s.frames_due_at, r.launched_at, r.place,
    EXISTS (SELECT 1 FROM submission_frame f WHERE f.term_code = s.term_code AND f.school_id = s.school_id
            AND f.submission_id = s.id AND f.position = p_position),
    k.sealed, w.root_version, w.sealed
  FROM submission s JOIN roll_call r ON r.id = s.roll_call_id
  LEFT JOIN (picture_key k JOIN school_template_key w ON w.school_id = k.school_id) ON k.student_id = s.student_id
  WHERE s.id = p_submission AND s.school_id = p_school AND s.student_id = p_student;
END;
