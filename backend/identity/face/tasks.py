"""Background tasks of the face package: judging pictures, and learning the population mean and the thresholds."""

from uuid import UUID

from procrastinate import JobContext, RetryStrategy

from backend.core.app_context import AppContext
from backend.core.jobs import DEFAULT, VERIFICATION, job_app
from backend.identity.face import population
from backend.identity.face.calibration.learning import learn_all_thresholds
from backend.identity.face.enrolment_judgement import judge_enrolment, refuse_unjudged_enrolment
from backend.identity.face.picture_refs import EnrolmentRef, PortraitRef
from backend.identity.face.portrait_judgement import judge_portrait as judge_submitted_portrait
from backend.identity.face.portrait_judgement import refuse_unjudged_portrait

_MAX_ATTEMPTS = 8
_RETRY = RetryStrategy(max_attempts=_MAX_ATTEMPTS, exponential_wait=3)


def _app_context(context: JobContext) -> AppContext:
    app_context: AppContext = context.additional_context["app_context"]
    return app_context


def _is_last_attempt(context: JobContext) -> bool:
    return context.job.attempts >= _MAX_ATTEMPTS


@job_app.task(queue=VERIFICATION, name="enrol_face", pass_context=True, retry=_RETRY)
async def enrol_face(context: JobContext, enrolment_id: str, school_id: str, student_id: str) -> None:
    """Judge the shots of an enrolment."""
    ref = EnrolmentRef(UUID(enrolment_id), UUID(school_id), UUID(student_id))
    try:
        await judge_enrolment(_app_context(context), ref)
    except Exception:
        if _is_last_attempt(context):
            await refuse_unjudged_enrolment(_app_context(context), ref)
        raise


@job_app.task(queue=VERIFICATION, name="judge_portrait", pass_context=True, retry=_RETRY)
async def judge_portrait(context: JobContext, portrait_id: str, school_id: str, student_id: str) -> None:
    """Judge an ID portrait."""
    ref = PortraitRef(UUID(portrait_id), UUID(school_id), UUID(student_id))
    try:
        await judge_submitted_portrait(_app_context(context), ref)
    except Exception:
        if _is_last_attempt(context):
            await refuse_unjudged_portrait(_app_context(context), ref)
        raise


@job_app.periodic(cron="40 2 * * *", periodic_id="learn_populations")
@job_app.task(queue=DEFAULT, name="learn_populations", pass_context=True, queueing_lock="learn_populations")
async def learn_populations(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - passed by the scheduler
    """Every night, learn the population mean and then the thresholds again where many more students have enrolled."""
    await population.learn_populations(_app_context(context))
    await learn_all_thresholds(_app_context(context), only_after_growth=True)
