-- Trigger on `outcome_entry`: adds what a statement changed to `outcome_count_pending`, one row per class and minute.
-- It updates no counter in place, so two transactions that write for one class never wait for each other.
-- The minute is that of the new entry, also for the entry that it replaces.
-- Called by: migrations/versions/0010_roll_call_outcomes.py (trigger count_outcomes)
-- Why it bypasses row-level security: the application may only read the counters.
CREATE OR REPLACE FUNCTION definer.count_outcomes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO outcome_count_pending (roll_call_id, class_id, school_id, minute, present, missed, excused, undetermined)
  SELECT n.roll_call_id, n.class_id, n.school_id, date_trunc('minute', n.at),
    count(*) FILTER (WHERE n.outcome = 'present'), count(*) FILTER (WHERE n.outcome = 'missed'),
    count(*) FILTER (WHERE n.outcome = 'excused'), count(*) FILTER (WHERE n.outcome = 'undetermined')
  FROM new_rows n GROUP BY n.roll_call_id, n.class_id, n.school_id, date_trunc('minute', n.at);
  -- A first entry replaces no other. A settlement writes only first entries, and skips the lookup.
  IF EXISTS (SELECT 1 FROM new_rows n WHERE n.seq > 1) THEN
    INSERT INTO outcome_count_pending
      (roll_call_id, class_id, school_id, minute, present, missed, excused, undetermined)
    SELECT e.roll_call_id, e.class_id, e.school_id, date_trunc('minute', n.at),
      -count(*) FILTER (WHERE e.outcome = 'present'), -count(*) FILTER (WHERE e.outcome = 'missed'),
      -count(*) FILTER (WHERE e.outcome = 'excused'), -count(*) FILTER (WHERE e.outcome = 'undetermined')
    FROM new_rows n JOIN outcome_entry e
      ON e.term_code = n.term_code AND e.roll_call_id = n.roll_call_id AND e.student_id = n.student_id
      AND e.seq = n.seq - 1
    WHERE n.seq > 1
    GROUP BY e.roll_call_id, e.class_id, e.school_id, date_trunc('minute', n.at);
  END IF;
  RETURN NULL;
END $$;
