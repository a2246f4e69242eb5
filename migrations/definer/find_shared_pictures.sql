-- Finds pictures of other students that are the same as, or nearly the same as, the pictures of one student.
--
-- Element i of each array belongs to picture i of the student: the keyed index of its file, the keyed index of its
-- decoded pixels, and its perceptual hash. Equal files and equal pixels are searched in the whole province, near
-- duplicates (at most `p_max_bits` different bits) in the student's school.
--
-- The locks keep two enrolments that run at the same time from missing each other: the later one sees the pictures of
-- the earlier one, because each statement sees what was committed before it began. All callers take them in this order.
-- Called by: backend/identity/face/shared_pictures.py
-- Why it bypasses row-level security: the caller has the scope of one student, and the pictures belong to others. It
-- returns identifiers only.
CREATE OR REPLACE FUNCTION definer.find_shared_pictures(p_school uuid, p_student uuid, p_files bytea[],
  p_pixels bytea[], p_hashes bigint[], p_max_bits int)
RETURNS TABLE (n bigint, student_id uuid, school_id uuid, school_path text, same boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('pictures/' || p_school, 0));
  PERFORM pg_advisory_xact_lock(locked.key) FROM (
    SELECT DISTINCT hashtextextended('picture/' || encode(each.pixels, 'hex'), 0) AS key
    FROM unnest(p_pixels) AS each(pixels) ORDER BY 1) locked;
  RETURN QUERY
  SELECT DISTINCT ON (found.n, found.student_id) found.n, found.student_id, found.school_id, u.path::text, found.same
  FROM (
    SELECT sent.i AS n, f.student_id, f.school_id, true AS same
    FROM unnest(p_files, p_pixels) WITH ORDINALITY AS sent(file, pixels, i)
    JOIN picture_fingerprint f ON f.file_index = sent.file OR f.pixel_index = sent.pixels
    UNION ALL
    SELECT sent.i, f.student_id, f.school_id, false
    FROM unnest(p_hashes) WITH ORDINALITY AS sent(phash, i)
    JOIN picture_fingerprint f ON f.school_id = p_school
      AND bit_count((f.phash # sent.phash)::bit(64)) <= p_max_bits
  ) found JOIN org_unit u ON u.id = found.school_id
  WHERE found.student_id <> p_student
  ORDER BY found.n, found.student_id, found.same DESC;
END $$;
