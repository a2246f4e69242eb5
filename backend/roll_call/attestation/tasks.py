"""The periodic task that escalates samples that were not reviewed in time."""

from procrastinate import JobContext

from backend.core.app_context import AppContext
from backend.core.jobs import DEFAULT, job_app
from backend.core.tenancy import Scope
from backend.org.paths import build_unit_path
from backend.roll_call.attestation.escalation import (
    UnreviewedSample,
    escalate_if_overdue,
    load_unreviewed_samples,
)

BATCH_SIZE = 200


async def escalate_overdue_samples(app_context: AppContext) -> int:
    """Escalate every overdue sample of the province, each in its own transaction; returns their number.

    A failure does not stop the others: all errors are raised at the end as a group.
    """
    province = Scope.wide(build_unit_path("province", app_context.settings.province_code, None))
    after: UnreviewedSample | None = None
    escalated, failures = 0, list[Exception]()
    while True:
        at = app_context.clock()
        async with app_context.database.transaction(province) as session:
            samples = await load_unreviewed_samples(session, at, after, BATCH_SIZE)
        for sample in samples:
            try:
                async with app_context.database.transaction(province) as session:
                    escalated += await escalate_if_overdue(session, sample, at)
            except Exception as error:  # noqa: BLE001 - raised below as part of a group
                failures.append(error)
        if len(samples) < BATCH_SIZE:
            break
        after = samples[-1]
    if failures:
        msg = "escalating attestation samples failed"
        raise ExceptionGroup(msg, failures)
    return escalated


@job_app.periodic(cron="41 * * * *", periodic_id="escalate_samples")
@job_app.task(queue=DEFAULT, name="escalate_samples", pass_context=True, queueing_lock="escalate_samples")
async def escalate_samples(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - given by the scheduler
    """Escalate every hour. A run after an outage covers what was missed."""
    await escalate_overdue_samples(context.additional_context["app_context"])
