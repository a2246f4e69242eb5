"""One company for the fuzzing, on the loop that its connections belong to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.identity.sign_in.authentication import HttpRequest, authenticate_phone, authenticate_staff
from tests.contract.bare import Bare
from tests.contract.caller import Caller, person_for
from tests.tenancy.fixtures import Client, Company, assembled
from tests.tenancy.matrix import OPEN_TO_PHONES


@pytest.fixture(scope="session")
async def company(app_context: AppContext, owner: Database) -> AsyncIterator[Company]:
    """Everybody, signed in."""
    async with assembled(app_context, owner) as company:
        yield company


@pytest.fixture(scope="session")
async def caller(company: Company) -> Caller:
    """Sends generated cases from tests that are not coroutines."""
    return Caller(company, asyncio.get_running_loop())


@pytest.fixture(scope="session")
def looked_up() -> dict[str | None, Any]:
    """Whom a credential was found to stand for."""
    return {}


@pytest.fixture
async def asker(
    company: Company, looked_up: dict[str | None, Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], Client]:
    """Who may ask a route of an API, looked up at the first request alone: what is odd is what they ask.

    Looking up is half of what a refused request costs; that half is the matter of `tests.tenancy`.
    """

    async def of_staff(app_context: AppContext, authorization: str | None) -> Any:
        if authorization not in looked_up:
            looked_up[authorization] = await authenticate_staff(app_context, authorization)
        return looked_up[authorization]

    async def of_phone(app_context: AppContext, request: HttpRequest) -> Any:
        if request.authorization not in looked_up:
            looked_up[request.authorization] = await authenticate_phone(app_context, request)
        return looked_up[request.authorization]

    monkeypatch.setattr("backend.staff_api.caller.authenticate_staff", of_staff)
    monkeypatch.setattr("mobile_api.caller.authenticate_phone", of_phone)
    token = f"DPoP {company.phone.token}"
    if token not in looked_up:
        assert (await company.phone.get("/v1/me")).is_success
    without_proofs = Bare(company.mobile, {"Authorization": token})

    def asking(api: str, route: str) -> Client:
        if api == "mobile" and route not in OPEN_TO_PHONES:
            return without_proofs
        if api == "mobile":
            return company.phone
        staff = company.staff_member(person_for(api, route)).staffer.tokens["access_token"]
        return Bare(company.staff, {"Authorization": f"Bearer {staff}"})

    return asking
