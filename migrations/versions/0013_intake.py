"""The intake of envelopes: facts for a batch, and a batch that is stored"""

import sqlalchemy as sa
from alembic import op

from migrations import rls

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "service_overload",
        sa.Column("second", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("second", name=op.f("pk_service_overload")),
    )
    rls.open_table("service_overload", "true", "SELECT, INSERT, UPDATE (rejected)")
    for statement in (_FACTS, _STORE, _DECLARED, _FRAMES):
        op.execute(statement)
    for signature in _DOORS:
        op.execute(f"REVOKE ALL ON FUNCTION definer.{signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION definer.{signature} TO {rls.APP}")


_DOORS = (
    "check_in_facts(text[], text[], uuid[], text[], timestamptz[], timestamptz, boolean)",
    "store_check_ins(json, text[], json)",
    "declared_frames(uuid, uuid, uuid, int)",
    "store_frames(json)",
)
"""A batch holds envelopes of many students and schools: no scope fits, so these take and give just what one needs."""

# Element by element the arrays are one envelope each: the key that proved the request, the number of its proof, and
# the instant at which it counts as arrived. Whoever's locks are held elsewhere is left out of the answer, with the proof
# unspent; with `p_wait` (and one element) they are waited for instead. The locks come in the order of
# backend.roll_call.outcomes; only what is in time holds the roll call open. Each statement of this function sees what
# was committed before it began, and so whatever the locks were waited for.
_FACTS = """
CREATE FUNCTION definer.check_in_facts(p_jkt text[], p_jti text[], p_roll_call uuid[], p_nonce text[],
  p_at timestamptz[], p_now timestamptz, p_wait boolean)
RETURNS TABLE (n bigint, fresh boolean, account_id uuid, account_status text, key_status text, student_id uuid,
  school_id uuid, cool_down_until timestamptz, place text, launched_at timestamptz, opens_at timestamptz, closes_at timestamptz,
  duty text, duty_reason text, voided boolean, settled boolean, outcome text, without_face boolean, gaps text[],
  findings jsonb, nonce_until timestamptz, earlier_id uuid, earlier_receipt text, earlier_due timestamptz, recent bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  held bigint[]; spent text[];
BEGIN
  IF p_wait THEN
    PERFORM pg_advisory_xact_lock(hashtextextended(p_roll_call[1] || '/' || d.student_id, 0))
      FROM device_key d WHERE d.jkt = p_jkt[1];
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('settle/' || r.id, 0))
      FROM roll_call r WHERE r.id = p_roll_call[1] AND p_at[1] <= greatest(r.closes_at,
        (SELECT max(x.until) FROM roll_call_extension x WHERE x.roll_call_id = r.id));
    held := ARRAY[1];
  ELSE
    SELECT coalesce(array_agg(asked.i), '{}') INTO held FROM (
      SELECT a.i,
        (d.student_id IS NULL OR pg_try_advisory_xact_lock(hashtextextended(a.roll_call || '/' || d.student_id, 0)))
        AND (r.id IS NULL OR a.at > greatest(r.closes_at, (SELECT max(x.until) FROM roll_call_extension x
                                                          WHERE x.roll_call_id = r.id))
             OR pg_try_advisory_xact_lock_shared(hashtextextended('settle/' || r.id, 0))) AS free
      FROM unnest(p_jkt, p_roll_call, p_at) WITH ORDINALITY AS a(jkt, roll_call, at, i)
      LEFT JOIN device_key d ON d.jkt = a.jkt
      LEFT JOIN roll_call r ON r.id = a.roll_call
    ) asked WHERE asked.free;
  END IF;
  WITH used AS (
    INSERT INTO dpop_proof (jkt, jti, seen_at)
    SELECT a.jkt, a.jti, p_now FROM unnest(p_jkt, p_jti) WITH ORDINALITY AS a(jkt, jti, i)
    WHERE a.i = ANY (held) ORDER BY a.jkt, a.jti
    ON CONFLICT DO NOTHING RETURNING dpop_proof.jkt || ' ' || dpop_proof.jti AS proof
  ) SELECT coalesce(array_agg(used.proof), '{}') INTO spent FROM used;
  RETURN QUERY
  SELECT a.i, a.jkt || ' ' || a.jti = ANY (spent), account.id, account.status::text, d.status::text, d.student_id,
    o.school_id, d.cool_down_until, called.place::text, called.launched_at, called.opens_at,
    greatest(called.closes_at, (SELECT max(x.until) FROM roll_call_extension x WHERE x.roll_call_id = called.id)), o.duty::text, o.reason::text,
    EXISTS (SELECT 1 FROM roll_call_step s WHERE s.roll_call_id = called.id AND s.step = 'voided'),
    EXISTS (SELECT 1 FROM roll_call_step s WHERE s.roll_call_id = called.id AND s.step = 'settled'),
    (SELECT e.outcome::text FROM outcome_entry e WHERE e.term_code = called.term_code AND e.roll_call_id = called.id
     AND e.student_id = d.student_id ORDER BY e.seq DESC LIMIT 1),
    has.route AND NOT has.template,
    array_remove(ARRAY[
      CASE WHEN d.status <> 'active' THEN 'account' END,
      CASE WHEN NOT EXISTS (SELECT 1 FROM record_check c WHERE c.student_id = d.student_id) THEN 'record_check' END,
      CASE WHEN NOT agreed.location THEN 'location_consent' END,
      CASE WHEN NOT (has.route OR (has.template AND agreed.face_use AND agreed.storage)) THEN 'face' END,
      CASE WHEN NOT EXISTS (SELECT 1 FROM portrait p WHERE p.student_id = d.student_id
                            AND p.status IN ('accepted', 'review')) THEN 'portrait' END], NULL),
    (SELECT jsonb_agg(v.reasons) FROM verdict v WHERE v.term_code = called.term_code AND v.roll_call_id = called.id
     AND v.student_id = d.student_id),
    (SELECT c.expires_at FROM challenge c WHERE c.term_code = called.term_code AND c.school_id = o.school_id
     AND c.nonce = a.nonce AND c.student_id = d.student_id AND c.roll_call_id = called.id AND c.key_thumbprint = a.jkt),
    earlier.id, earlier.receipt::text, earlier.frames_due_at,
    (SELECT count(*) FROM submission s WHERE s.term_code = called.term_code AND s.roll_call_id = called.id
     AND s.student_id = d.student_id AND s.received_at > a.at - interval '1 minute')
  FROM unnest(p_jkt, p_jti, p_roll_call, p_nonce, p_at) WITH ORDINALITY AS a(jkt, jti, roll_call, nonce, at, i)
  LEFT JOIN device_key d ON d.jkt = a.jkt
  LEFT JOIN account ON account.student_id = d.student_id
  LEFT JOIN roll_call any_call ON any_call.id = a.roll_call
  LEFT JOIN obligation o ON o.term_code = any_call.term_code AND o.roll_call_id = any_call.id
    AND o.student_id = d.student_id
  LEFT JOIN roll_call called ON called.id = o.roll_call_id AND called.notify_at <= a.at
  LEFT JOIN submission earlier ON earlier.term_code = called.term_code AND earlier.school_id = o.school_id
    AND earlier.nonce = a.nonce AND earlier.student_id = d.student_id AND earlier.roll_call_id = called.id
  CROSS JOIN LATERAL (SELECT
    EXISTS (SELECT 1 FROM non_face_route f WHERE f.student_id = d.student_id) AS route,
    EXISTS (SELECT 1 FROM face_template f WHERE f.student_id = d.student_id AND f.status = 'active') AS template
  ) has
  CROSS JOIN LATERAL (SELECT
    coalesce((SELECT c.granted FROM consent c WHERE c.student_id = d.student_id AND c.kind = 'location'
              ORDER BY c.at DESC, c.id DESC LIMIT 1), false) AS location,
    coalesce((SELECT c.granted FROM consent c WHERE c.student_id = d.student_id AND c.kind = 'face_use'
              ORDER BY c.at DESC, c.id DESC LIMIT 1), false) AS face_use,
    coalesce((SELECT c.granted FROM consent c WHERE c.student_id = d.student_id AND c.kind = 'face_template_storage'
              ORDER BY c.at DESC, c.id DESC LIMIT 1), false) AS storage
  ) agreed
  WHERE a.i = ANY (held);
END $$;
"""

# The school comes from the frozen obligation: an envelope of whoever is not in the audience cannot be stored.
_STORE = """
CREATE FUNCTION definer.store_check_ins(p_submissions json, p_envelopes text[], p_refusals json) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  written bigint;
BEGIN
  WITH stored AS (
    INSERT INTO submission (id, roll_call_id, school_id, term_code, student_id, nonce, key_thumbprint, in_cool_down, envelope,
      envelope_digest, frame_count, receipt, received_at, frames_due_at)
    SELECT s.id, o.roll_call_id, o.school_id, o.term_code, o.student_id, s.nonce, s.jkt, s.in_cool_down, p_envelopes[s.n],
      decode(s.digest, 'hex'), s.frames, s.receipt, s.received_at, s.frames_due_at
    FROM json_to_recordset(p_submissions) AS s(n int, id uuid, roll_call uuid, student uuid, nonce text, jkt text,
      in_cool_down boolean, digest text, frames smallint, receipt text, received_at timestamptz,
      frames_due_at timestamptz)
    JOIN roll_call c ON c.id = s.roll_call
    JOIN obligation o ON o.term_code = c.term_code AND o.roll_call_id = c.id AND o.student_id = s.student
    RETURNING 1
  ), refused AS (
    INSERT INTO refusal (id, roll_call_id, school_id, term_code, student_id, step, code, detail, envelope_digest, at)
    SELECT r.id, o.roll_call_id, o.school_id, o.term_code, o.student_id, 'envelope', r.code, r.detail, decode(r.digest, 'hex'), r.at
    FROM json_to_recordset(p_refusals) AS r(id uuid, roll_call uuid, student uuid, code text, detail jsonb, digest text,
      at timestamptz)
    JOIN roll_call c ON c.id = r.roll_call
    JOIN obligation o ON o.term_code = c.term_code AND o.roll_call_id = c.id AND o.student_id = r.student
    RETURNING 1
  )
  SELECT (SELECT count(*) FROM stored) + (SELECT count(*) FROM refused) INTO written;
  RETURN written;
END $$;
"""

_DECLARED = """
CREATE FUNCTION definer.declared_frames(p_submission uuid, p_school uuid, p_student uuid, p_position int)
RETURNS TABLE (roll_call_id uuid, envelope text, frames_due_at timestamptz, launched_at timestamptz, place text,
  stored boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  SELECT s.roll_call_id, s.envelope, s.frames_due_at, r.launched_at, r.place,
    EXISTS (SELECT 1 FROM submission_frame f WHERE f.term_code = s.term_code AND f.school_id = s.school_id
            AND f.submission_id = s.id AND f.position = p_position)
  FROM submission s JOIN roll_call r ON r.id = s.roll_call_id
  WHERE s.id = p_submission AND s.school_id = p_school AND s.student_id = p_student;
END;
"""

# Whoever counts the frames of a burst holds its lock, so that exactly one finds it complete, and enqueues it as
# backend.roll_call.verification.queue would under a scope that sees the submission. The locks come in one order.
_FRAMES = """
CREATE FUNCTION definer.store_frames(p_frames json) RETURNS TABLE (submission_id uuid, complete boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  bursts uuid[]; grown uuid[];
BEGIN
  SELECT array_agg(b.submission ORDER BY b.submission) INTO bursts
    FROM (SELECT DISTINCT f.submission FROM json_to_recordset(p_frames) AS f(submission uuid)) b;
  PERFORM pg_advisory_xact_lock(hashtextextended(CAST(b.id AS text), 0)) FROM unnest(bursts) AS b(id);
  WITH added AS (
    INSERT INTO submission_frame (submission_id, position, school_id, term_code, student_id, sha256, size, evidence_key,
      received_at)
    SELECT s.id, f.position, s.school_id, s.term_code, s.student_id, decode(f.sha256, 'hex'), f.size, f.evidence_key, f.at
    FROM json_to_recordset(p_frames) AS f(submission uuid, "position" smallint, school uuid, student uuid, sha256 text, size int,
      evidence_key text, at timestamptz)
    JOIN submission s ON s.id = f.submission AND s.school_id = f.school AND s.student_id = f.student
    ON CONFLICT DO NOTHING RETURNING submission_frame.submission_id AS burst
  ) SELECT array_agg(added.burst) INTO grown FROM added;
  INSERT INTO verification_task (submission_id, roll_call_id, school_id, student_id, state, attempts, enqueued_at,
    not_before)
  SELECT s.id, s.roll_call_id, s.school_id, s.student_id, 'waiting', 0, arrived.at, arrived.at
  FROM submission s
  CROSS JOIN LATERAL (SELECT count(*) AS frames, max(f.received_at) AS at FROM submission_frame f
                      WHERE f.term_code = s.term_code AND f.submission_id = s.id) arrived
  WHERE s.id = ANY (grown) AND arrived.frames = s.frame_count
  ON CONFLICT DO NOTHING;
  RETURN QUERY SELECT s.id, (SELECT count(*) FROM submission_frame f WHERE f.term_code = s.term_code
                             AND f.submission_id = s.id) = s.frame_count
    FROM submission s WHERE s.id = ANY (bursts);
END $$;
"""
