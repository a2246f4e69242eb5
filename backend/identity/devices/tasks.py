"""Background tasks of the devices package: verifying registrations, and deleting expired rows."""

from datetime import timedelta
from uuid import UUID

from procrastinate import JobContext, RetryStrategy

from backend.core.app_context import AppContext
from backend.core.jobs import DEFAULT, NOTICES, VERIFICATION, Priority, job_app
from backend.identity import unscoped_queries
from backend.identity.devices import registration_verification
from backend.identity.devices.rebinding_judgement import (
    RebindingRef,
    judge_rebinding_face,
    refuse_unjudged_face,
)
from backend.identity.passkeys.challenges import purge_answered_challenges
from backend.identity.policy import province_policy
from backend.identity.sign_in.limits import sign_in_limits
from backend.identity.sign_in.unscoped_queries import purge_sign_ins


def _app_context(context: JobContext) -> AppContext:
    app_context: AppContext = context.additional_context["app_context"]
    return app_context


@job_app.task(
    queue=NOTICES,
    name="verify_registration",
    pass_context=True,
    priority=Priority.HIGH,  # a person waits for the code, also while a launch notifies thousands
    retry=RetryStrategy(max_attempts=8, exponential_wait=3),
)
async def verify_registration(context: JobContext, registration_id: str) -> None:
    """Check a registration with the real-name service and send its one-time code."""
    await registration_verification.verify_registration(_app_context(context), UUID(registration_id))


_MAX_FACE_ATTEMPTS = 8


@job_app.task(
    queue=VERIFICATION,
    name="match_rebinding_face",
    pass_context=True,
    retry=RetryStrategy(max_attempts=_MAX_FACE_ATTEMPTS, exponential_wait=3),
)
async def match_rebinding_face(
    context: JobContext, registration_id: str, school_id: str, student_id: str
) -> None:
    """Compare the face on a new phone with the enrolled one."""
    ref = RebindingRef(UUID(registration_id), UUID(school_id), UUID(student_id))
    try:
        await judge_rebinding_face(_app_context(context), ref)
    except Exception:
        if context.job.attempts >= _MAX_FACE_ATTEMPTS:
            await refuse_unjudged_face(_app_context(context), ref)
        raise


@job_app.periodic(cron="*/10 * * * *")
@job_app.task(queue=DEFAULT, name="purge_spent", pass_context=True, queueing_lock="purge_spent")
async def purge_expired(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - passed by the scheduler
    """Delete proofs, registrations and counters that can no longer have any effect, and old entries of the sign-in log.

    Proofs are kept for the life of a token plus the permitted clock error, unconfirmed registrations for the
    day in which they are counted.
    """
    app_context = _app_context(context)
    at = app_context.clock()
    policy = province_policy(app_context, at)
    proof_life = policy.duration("identity.token.lifetime") + 2 * policy.duration("identity.proof.max_age")
    await unscoped_queries.purge_proofs(app_context.database, at - proof_life)
    window = timedelta(days=1) + policy.duration("identity.otp.lifetime")
    await unscoped_queries.purge_registrations(app_context.database, at - window)
    challenge_life = policy.duration("identity.passkey.challenge_lifetime")
    await purge_answered_challenges(app_context.database, at - challenge_life)
    limits = sign_in_limits(app_context, at)
    await purge_sign_ins(
        app_context.database,
        counted_before=at - limits.memory,
        used_before=at - limits.device_lifetime,
        logged_before=at - policy.duration("retention.sign_in_log"),
    )
