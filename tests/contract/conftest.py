"""The accounts of the tenancy matrix for the contract tests, on the event loop of their connections."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.identity.sign_in.authentication import HttpRequest, authenticate_phone, authenticate_staff
from tests.contract.case_sender import CaseSender, account_kind_for
from tests.contract.raw_client import RawClient
from tests.tenancy.fixtures import Client, TenancyScenario, open_tenancy_scenario
from tests.tenancy.matrix import UNAUTHENTICATED_MOBILE_ROUTES


@pytest.fixture(scope="session")
async def scenario(app_context: AppContext, owner: Database) -> AsyncIterator[TenancyScenario]:
    """All accounts of the matrix, signed in."""
    async with open_tenancy_scenario(app_context, owner) as scenario:
        yield scenario


@pytest.fixture(scope="session")
async def case_sender(scenario: TenancyScenario) -> CaseSender:
    """Sends generated requests from tests that are not coroutines."""
    return CaseSender(scenario, asyncio.get_running_loop())


@pytest.fixture(scope="session")
def authenticated() -> dict[str | None, Any]:
    """Credential → the authenticated account."""
    return {}


@pytest.fixture
async def client_for(
    scenario: TenancyScenario, authenticated: dict[str | None, Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], Client]:
    """A client that may call a route of an API. Its credentials are checked only at the first request.

    Checking them takes half the time of a rejected request, and `tests.tenancy` covers it.
    """

    async def authenticate_staff_once(app_context: AppContext, authorization: str | None) -> Any:
        if authorization not in authenticated:
            authenticated[authorization] = await authenticate_staff(app_context, authorization)
        return authenticated[authorization]

    async def authenticate_phone_once(app_context: AppContext, request: HttpRequest) -> Any:
        if request.authorization not in authenticated:
            authenticated[request.authorization] = await authenticate_phone(app_context, request)
        return authenticated[request.authorization]

    monkeypatch.setattr("backend.staff_api.caller.authenticate_staff", authenticate_staff_once)
    monkeypatch.setattr("mobile_api.caller.authenticate_phone", authenticate_phone_once)
    token = f"DPoP {scenario.phone.token}"
    if token not in authenticated:
        assert (await scenario.phone.get("/v1/me")).is_success
    phone_without_proofs = RawClient(scenario.mobile, {"Authorization": token})

    def find_client(api: str, route: str) -> Client:
        if api == "mobile" and route not in UNAUTHENTICATED_MOBILE_ROUTES:
            return phone_without_proofs
        if api == "mobile":
            return scenario.phone
        staff = scenario.staff_member(account_kind_for(api, route)).staffer.tokens["access_token"]
        return RawClient(scenario.staff, {"Authorization": f"Bearer {staff}"})

    return find_client
