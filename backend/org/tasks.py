"""By the clock: no term without its partitions."""

import structlog
from procrastinate import JobContext

from backend.core.app_context import AppContext
from backend.core.jobs import DEFAULT, job_app
from backend.core.tenancy import Scope
from backend.org.partitions import make_partitions

log = structlog.get_logger()


@job_app.periodic(cron="17 * * * *", periodic_id="keep_partitions")
@job_app.task(queue=DEFAULT, name="keep_partitions", pass_context=True, queueing_lock="keep_partitions")
async def keep_partitions(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - given by the scheduler
    """Every hour; what it has to make should have been there, so it says so as an error."""
    app_context: AppContext = context.additional_context["app_context"]
    async with app_context.database.transaction(Scope.none()) as session:
        made = await make_partitions(session)
    for each in made:
        log.error("a term had no partition; it was made now", term=each.term_code, table=each.table)
