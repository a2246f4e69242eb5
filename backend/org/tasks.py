"""The scheduled task of the package: every term has its partitions."""

import structlog
from procrastinate import JobContext

from backend.core.app_context import AppContext
from backend.core.jobs import DEFAULT, job_app
from backend.core.tenancy import Scope
from backend.org.partitions import create_missing_partitions

log = structlog.get_logger()


@job_app.periodic(cron="17 * * * *", periodic_id="keep_partitions")
@job_app.task(queue=DEFAULT, name="keep_partitions", pass_context=True, queueing_lock="keep_partitions")
async def repair_partitions(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - given by the scheduler
    """Create missing partitions every hour. Each one is logged as an error: it should have been there."""
    app_context: AppContext = context.additional_context["app_context"]
    async with app_context.database.transaction(Scope.none()) as session:
        created = await create_missing_partitions(session)
    for partition in created:
        log.error(
            "a term had no partition; it was created now", term=partition.term_code, table=partition.table
        )
