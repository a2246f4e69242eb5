"""A stream ends soon after its session or account does."""

from uuid import UUID

import pytest

from backend.identity.sign_in.session_watch import SessionWatch
from tests.support.identity.scenario import IdentityScenario
from tests.support.identity.staff_user import StaffUser, create_staff_user

pytestmark = pytest.mark.clause("HN334-2.3")


async def session_id(user: StaffUser) -> UUID:
    return UUID((await user.get("/v1/sessions")).json()[0]["id"])


async def test_ended_sessions_and_disabled_accounts_are_reported_once(scenario: IdentityScenario) -> None:
    bureau = await create_staff_user(scenario, "bureau", scenario.world.city.id)
    disabled = await bureau.create_subordinate("registrar", scenario.school.id)
    signed_out = await bureau.create_subordinate("registrar", scenario.school.id)
    staying = await bureau.create_subordinate("registrar", scenario.school.id)
    users = {"disabled": disabled, "signed_out": signed_out, "staying": staying}
    watch, ended = SessionWatch(scenario.app_context), list[str]()
    first = watch.watch(await session_id(disabled), lambda: ended.append("disabled"))
    second = watch.watch(await session_id(signed_out), lambda: ended.append("signed_out"))
    third = watch.watch(await session_id(staying), lambda: ended.append("staying"))
    with first as one, second as two, third as three:
        await watch.check()
        assert ended == []
        await bureau.post(f"/v1/accounts/{disabled.account_id}/disable", {"reason": "离职"})
        await users["signed_out"].request("DELETE", "/v1/sessions/current")
        await watch.check()
        await watch.check()
        assert sorted(ended) == ["disabled", "signed_out"]
        assert (one.ended, two.ended, three.ended) == (True, True, False)
    assert watch._poller is None
