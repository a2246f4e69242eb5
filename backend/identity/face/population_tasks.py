"""By the clock: learning the population anew."""

from procrastinate import JobContext

from backend.core.app_context import AppContext
from backend.core.jobs import DEFAULT, job_app
from backend.identity.face import population


@job_app.periodic(cron="40 2 * * *", periodic_id="learn_populations")
@job_app.task(queue=DEFAULT, name="learn_populations", pass_context=True, queueing_lock="learn_populations")
async def learn_populations(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - given by the scheduler
    """Learn, at night, the mean face of those who enrolled, where they have become many more."""
    app_context: AppContext = context.additional_context["app_context"]
    await population.learn_populations(app_context)
