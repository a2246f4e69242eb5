"""By the clock: learning the population anew."""

from procrastinate import JobContext

from backend.core.jobs import FLOW, job_app
from backend.core.runtime import Runtime
from backend.identity import population


@job_app.periodic(cron="40 2 * * *", periodic_id="learn_populations")
@job_app.task(queue=FLOW, name="learn_populations", pass_context=True, queueing_lock="learn_populations")
async def learn_populations(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - given by the scheduler
    """Learn, at night, the mean face of those who enrolled, where they have become many more."""
    runtime: Runtime = context.additional_context["runtime"]
    await population.learn_populations(runtime)
