"""A launch that calls many students takes the second factor of the launcher, once for each launch."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.roll_call.launch.checks import LaunchPlan
from tests.support.identity.authenticator import Authenticator, add_passkey
from tests.support.identity.scenario import IdentityScenario, identity_scenario, problem_code
from tests.support.identity.staff_user import StaffUser, create_staff_user

pytestmark = pytest.mark.clause("HN334-3.4")


@pytest.fixture
async def user(app_context: AppContext, owner: Database) -> AsyncIterator[StaffUser]:
    async with identity_scenario(app_context, owner) as scenario:
        yield await create_staff_user(scenario, "registrar", scenario.school.id)


@pytest.fixture(autouse=True)
def low_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LaunchPlan, "confirmation_limit", 1)


def body(scenario: IdentityScenario, **changes: Any) -> dict[str, Any]:
    opens_at = scenario.clock() + timedelta(hours=1)
    return {
        "kind": "school_own",
        "title": "晚点名",
        "opens_at": opens_at.isoformat(),
        "closes_at": (opens_at + timedelta(hours=1)).isoformat(),
    } | changes


async def test_a_large_launch_without_the_second_factor_is_refused(user: StaffUser) -> None:
    shown = await user.post("/v1/roll-calls/preview", body(user.scenario))
    assert (shown.status_code, shown.json()["needs_confirmation"]) == (200, True)
    answer = await user.post("/v1/roll-calls", body(user.scenario))
    assert (answer.status_code, problem_code(answer.text)) == (403, "launch_unconfirmed")


async def test_a_wrong_code_is_refused_and_delays_the_next_attempts(user: StaffUser) -> None:
    statuses = [
        (await user.post("/v1/roll-calls", body(user.scenario, confirmation={"totp": "000000"}))).status_code
        for _ in range(7)
    ]
    assert (statuses[0], statuses[-1]) == (422, 429)


async def test_a_code_confirms_one_launch(user: StaffUser) -> None:
    confirmation = {"totp": user.totp()}
    first = await user.post("/v1/roll-calls", body(user.scenario, confirmation=confirmation))
    assert first.status_code == 201, first.text
    again = await user.post("/v1/roll-calls", body(user.scenario, confirmation=confirmation))
    assert problem_code(again.text) == "second_factor_used"


async def test_a_passkey_confirms_a_launch(user: StaffUser) -> None:
    authenticator = Authenticator()
    assert (await add_passkey(user, authenticator)).status_code == 201
    options = (await user.post("/v1/me/passkeys/confirmation-challenges")).json()
    confirmation = {"passkey": authenticator.get(options)}
    answer = await user.post("/v1/roll-calls", body(user.scenario, confirmation=confirmation))
    assert answer.status_code == 201, answer.text
