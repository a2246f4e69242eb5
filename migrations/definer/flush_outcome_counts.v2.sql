-- Moves the pending changes into the counters of the classes and into the minutes of the schools. Returns how many
-- counters changed; 0 if another transaction is already doing it.
-- A reader sees either the pending rows or their sum, never both. The version is drawn under the lock, which is
-- held until the commit, so a reader that sees one version has seen all earlier ones.
-- Called by: backend/roll_call/progress/counters.py
-- Why it bypasses row-level security: the application may only read the counters.
CREATE OR REPLACE FUNCTION definer.flush_outcome_counts() RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  WITH this_run AS MATERIALIZED (
    SELECT CASE WHEN pg_try_advisory_xact_lock(hashtextextended('flush_outcome_counts', 0))
      THEN nextval('outcome_count_version') END AS version
  ),
  pending AS (
    DELETE FROM outcome_count_pending d WHERE (SELECT version FROM this_run) IS NOT NULL
    RETURNING d.roll_call_id, d.class_id, d.school_id, d.minute, d.present, d.missed, d.excused, d.undetermined
  ), in_minutes AS (
    INSERT INTO outcome_minute AS m (roll_call_id, school_id, minute, present, missed, excused, undetermined)
    SELECT p.roll_call_id, p.school_id, p.minute, sum(p.present), sum(p.missed), sum(p.excused), sum(p.undetermined)
    FROM pending p GROUP BY p.roll_call_id, p.school_id, p.minute
    ON CONFLICT (roll_call_id, school_id, minute) DO UPDATE SET present = m.present + excluded.present,
      missed = m.missed + excluded.missed, excused = m.excused + excluded.excused,
      undetermined = m.undetermined + excluded.undetermined
  ), updated AS (
    INSERT INTO outcome_count AS c
      (roll_call_id, class_id, school_id, present, missed, excused, undetermined, version)
    SELECT p.roll_call_id, p.class_id, p.school_id, sum(p.present), sum(p.missed), sum(p.excused), sum(p.undetermined),
      (SELECT version FROM this_run)
    FROM pending p GROUP BY p.roll_call_id, p.class_id, p.school_id
    ON CONFLICT (roll_call_id, school_id, class_id) DO UPDATE SET present = c.present + excluded.present,
      missed = c.missed + excluded.missed, excused = c.excused + excluded.excused,
      undetermined = c.undetermined + excluded.undetermined, version = excluded.version
    RETURNING 1
  )
  SELECT count(*) FROM updated;
END;
