"""The periodic task that tells owners of accounts about delays after failed sign-ins."""

from procrastinate import JobContext

from backend.core.app_context import AppContext
from backend.core.jobs import DEFAULT, job_app
from backend.core.tenancy import Scope
from backend.identity.sign_in.delay_notices import load_delayed_accounts, tell_owner
from backend.org.paths import build_unit_path


async def tell_delayed_accounts(app_context: AppContext) -> int:
    """Tell every owner who was not told within a day; returns their number."""
    province = Scope.wide(build_unit_path("province", app_context.settings.province_code, None))
    at = app_context.clock()
    async with app_context.database.transaction(province) as session:
        accounts = await load_delayed_accounts(session, at)
        for account in accounts:
            await tell_owner(session, account, at)
    return len(accounts)


@job_app.periodic(cron="*/5 * * * *", periodic_id="tell_delayed_accounts")
@job_app.task(
    queue=DEFAULT,
    name="tell_delayed_accounts",
    pass_context=True,
    queueing_lock="tell_delayed_accounts",
    lock="tell_delayed_accounts",
)
async def tell_delayed(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - passed by the scheduler
    """Run every five minutes."""
    await tell_delayed_accounts(context.additional_context["app_context"])
