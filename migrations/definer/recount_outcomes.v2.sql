-- Recomputes the counters and the minutes of a roll call from its outcomes. Returns the number of counters.
-- It locks `outcome_entry` against writes, so every pending change so far is part of the new sums. A class without
-- outcomes gets a counter of zeros, so that a reader with an older figure is corrected.
-- Called by: backend/roll_call/progress/counters.py
-- Why it bypasses row-level security: the application may only read the counters.
CREATE OR REPLACE FUNCTION definer.recount_outcomes(p_roll_call uuid) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  counters bigint;
  new_version bigint;
  this_term text := (SELECT r.term_code FROM roll_call r WHERE r.id = p_roll_call);
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('flush_outcome_counts', 0));
  new_version := nextval('outcome_count_version');
  LOCK TABLE outcome_entry IN SHARE ROW EXCLUSIVE MODE;
  DELETE FROM outcome_count_pending WHERE roll_call_id = p_roll_call;
  DELETE FROM outcome_count WHERE roll_call_id = p_roll_call;
  INSERT INTO outcome_count (roll_call_id, class_id, school_id, present, missed, excused, undetermined, version)
  -- UNION ALL instead of a join: right after a launch there are no statistics on the classes, and a plan made for
  -- one class would count all outcomes again for each.
  SELECT p_roll_call, o.class_id, o.school_id,
    count(*) FILTER (WHERE o.outcome = 'present'), count(*) FILTER (WHERE o.outcome = 'missed'),
    count(*) FILTER (WHERE o.outcome = 'excused'), count(*) FILTER (WHERE o.outcome = 'undetermined'), new_version
  FROM (
    SELECT c.class_id, c.school_id, '' AS outcome FROM roll_call_class c
    WHERE c.term_code = this_term AND c.roll_call_id = p_roll_call
    UNION ALL
    SELECT latest.class_id, latest.school_id, latest.outcome FROM (
      SELECT DISTINCT ON (e.student_id) e.class_id, e.school_id, e.outcome FROM outcome_entry e
      WHERE e.term_code = this_term AND e.roll_call_id = p_roll_call ORDER BY e.student_id, e.seq DESC
    ) latest
  ) o
  GROUP BY o.class_id, o.school_id;
  GET DIAGNOSTICS counters = ROW_COUNT;
  DELETE FROM outcome_minute WHERE roll_call_id = p_roll_call;
  INSERT INTO outcome_minute (roll_call_id, school_id, minute, present, missed, excused, undetermined)
  SELECT p_roll_call, c.school_id, c.minute,
    coalesce(sum(c.n) FILTER (WHERE c.outcome = 'present'), 0),
    coalesce(sum(c.n) FILTER (WHERE c.outcome = 'missed'), 0),
    coalesce(sum(c.n) FILTER (WHERE c.outcome = 'excused'), 0),
    coalesce(sum(c.n) FILTER (WHERE c.outcome = 'undetermined'), 0)
  FROM (
    SELECT e.school_id, date_trunc('minute', e.at) AS minute, e.outcome, 1 AS n FROM outcome_entry e
    WHERE e.term_code = this_term AND e.roll_call_id = p_roll_call
    UNION ALL
    -- Each entry takes away its predecessor, in its own minute.
    SELECT e.school_id, date_trunc('minute', e.at), before.outcome, -1 FROM outcome_entry e
    JOIN outcome_entry before ON before.term_code = e.term_code AND before.roll_call_id = e.roll_call_id
      AND before.student_id = e.student_id AND before.seq = e.seq - 1
    WHERE e.term_code = this_term AND e.roll_call_id = p_roll_call AND e.seq > 1
  ) c
  GROUP BY c.school_id, c.minute;
  RETURN counters;
END $$;
