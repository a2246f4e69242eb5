-- Returns the changes of a roll call's counters since a version: counters with a newer version, and all pending
-- changes (without a version). Both come from one snapshot, so no change is returned twice or lost.
-- Called by: backend/roll_call/progress/cache.py
-- Why it bypasses row-level security: one cache in each process serves every caller; access is checked before
-- figures leave it.
CREATE OR REPLACE FUNCTION definer.progress_since(p_roll_call uuid, p_version bigint)
RETURNS TABLE (class_id uuid, version bigint, present bigint, missed bigint, excused bigint, undetermined bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  RETURN QUERY
  SELECT c.class_id, c.version, c.present::bigint, c.missed::bigint, c.excused::bigint, c.undetermined::bigint
  FROM outcome_count c WHERE c.roll_call_id = p_roll_call AND c.version > p_version
  UNION ALL
  SELECT d.class_id, NULL, sum(d.present), sum(d.missed), sum(d.excused), sum(d.undetermined)
  FROM outcome_count_pending d WHERE d.roll_call_id = p_roll_call GROUP BY d.class_id;
END $$;
