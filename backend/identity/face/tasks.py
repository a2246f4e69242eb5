"""Background entries of identity. The worker hands in the process's parts as `additional_context["app_context"]`."""

from uuid import UUID

from procrastinate import JobContext, RetryStrategy

from backend.core.app_context import AppContext
from backend.core.jobs import DEFAULT, NOTICES, VERIFICATION, job_app
from backend.identity import unscoped_queries
from backend.identity.devices import registration
from backend.identity.face import enrolment, portraits
from backend.identity.policy import province_policy

_ATTEMPTS = 8
_PATIENT = RetryStrategy(max_attempts=_ATTEMPTS, exponential_wait=3)


def _runtime(context: JobContext) -> AppContext:
    app_context: AppContext = context.additional_context["app_context"]
    return app_context


def _is_last(context: JobContext) -> bool:
    """Whether a failure now is final: no attempt follows this one."""
    return context.job.attempts >= _ATTEMPTS


@job_app.task(queue=NOTICES, name="verify_registration", pass_context=True, retry=_PATIENT)
async def verify_registration(context: JobContext, registration_id: str) -> None:
    """Ask the real-name service about a registration and send its code."""
    await registration.verify(_runtime(context), UUID(registration_id))


@job_app.task(queue=VERIFICATION, name="enrol_face", pass_context=True, retry=_PATIENT)
async def enrol_face(context: JobContext, enrolment_id: str, school_id: str, student_id: str) -> None:
    """Judge the shots of an enrolment."""
    ref = enrolment.EnrolmentRef(UUID(enrolment_id), UUID(school_id), UUID(student_id))
    try:
        await enrolment.judge_enrolment(_runtime(context), ref)
    except Exception:
        if _is_last(context):
            await enrolment.give_up(_runtime(context), ref)
        raise


@job_app.task(queue=VERIFICATION, name="judge_portrait", pass_context=True, retry=_PATIENT)
async def judge_portrait(context: JobContext, portrait_id: str, school_id: str, student_id: str) -> None:
    """Judge an ID portrait."""
    ref = portraits.PortraitRef(UUID(portrait_id), UUID(school_id), UUID(student_id))
    try:
        await portraits.judge(_runtime(context), ref)
    except Exception:
        if _is_last(context):
            await portraits.give_up(_runtime(context), ref)
        raise


@job_app.periodic(cron="*/10 * * * *")
@job_app.task(queue=DEFAULT, name="purge_spent", pass_context=True, queueing_lock="purge_spent")
async def purge_expired(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - the scheduler passes it
    """Forget what can take no effect any more.

    Proofs are kept for a token's life and the clock's error, unconfirmed registrations for the window in
    which they are counted.
    """
    app_context = _runtime(context)
    at = app_context.clock()
    law = province_policy(app_context, at)
    kept = law.duration("identity.token.lifetime") + 2 * law.duration("identity.proof.max_age")
    await unscoped_queries.purge_proofs(app_context.database, at - kept)
    window = law.duration("identity.otp.window") + law.duration("identity.otp.lifetime")
    await unscoped_queries.purge_registrations(app_context.database, at - window)
