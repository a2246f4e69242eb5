"""Background tasks of the search for one face under two names. Both do nothing while the search is off."""

from uuid import UUID

from procrastinate import JobContext, RetryStrategy

from backend.core.app_context import AppContext
from backend.core.jobs import DEFAULT, VERIFICATION, job_app
from backend.identity.face.duplicates.search import search_province, search_school

_RETRY = RetryStrategy(max_attempts=8, exponential_wait=3)


def _app_context(context: JobContext) -> AppContext:
    app_context: AppContext = context.additional_context["app_context"]
    return app_context


@job_app.task(queue=VERIFICATION, name="search_duplicates", pass_context=True, retry=_RETRY)
async def search_duplicates(context: JobContext, school_id: str, student_id: str) -> None:
    """Compare a new face with all others of the school."""
    await search_school(_app_context(context), UUID(school_id), UUID(student_id))


@job_app.periodic(cron="20 3 * * *", periodic_id="search_province_duplicates")
@job_app.task(
    queue=DEFAULT,
    name="search_province_duplicates",
    pass_context=True,
    queueing_lock="search_province_duplicates",
)
async def search_province_duplicates(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - passed by the scheduler
    """Every night, compare new faces with all others of the province."""
    await search_province(_app_context(context))
