"""Sends generated requests as an account that the matrix admits, half of them with ids of existing records."""

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

from httpx import AsyncClient, Response
from requests import Request
from schemathesis import Case

from backend.notice.delivery_reports import report_token
from tests.support.identity.browser import OWN_ORIGIN
from tests.tenancy.fixtures import TenancyScenario
from tests.tenancy.matrix import ROWS, UNAUTHENTICATED_STAFF_ROUTES
from tests.tenancy.requests import own_ids
from tests.tenancy.rows import PATH_RECORDS, ROLES, IdOf, Row

SESSION_ENDING_ROUTES = {"DELETE /v1/sessions/current"}
"""Routes that would end the account's own session; they are called without one."""


def account_kind_for(api: str, route: str) -> str:
    """A kind of account that the matrix admits, the one with the most rights first."""
    if api == "mobile":
        return "student"
    rows = [row for row in ROWS[api] if row.route == route]
    return next((kind for row in rows for kind in ROLES if row.expected(kind).startswith("ok")), "registrar")


@dataclass(frozen=True, slots=True)
class CaseSender:
    """Sends requests for tests that Hypothesis runs, which are not coroutines."""

    scenario: TenancyScenario
    loop: asyncio.AbstractEventLoop

    def send(self, api: str, case: Case[Any]) -> Response:
        """The response of the application to the case."""
        row = next(row for row in ROWS[api] if row.route == f"{case.method} {case.operation.path}")
        self._use_existing_ids(case, row, api)
        options = case.as_transport_kwargs(base_url=f"http://testserver/{api}")
        prepared = Request(**options).prepare()
        assert prepared.method is not None
        assert prepared.url is not None
        plain = {name: value for name, value in prepared.headers.items() if isinstance(value, str)}
        headers = plain | self._credentials(api, row.route, prepared.method, prepared.url)
        body: Any = prepared.body
        return self.request(api, prepared.method, prepared.url, headers, body)

    def request(
        self, api: str, method: str, url: str, headers: dict[str, str], body: bytes | None
    ) -> Response:
        """One request over ASGI."""
        http: AsyncClient = self.scenario.staff if api == "staff" else self.scenario.mobile
        sending = http.request(method, url, headers=headers, content=body)
        return self.loop.run_until_complete(sending)

    def _use_existing_ids(self, case: Case[Any], row: Row, api: str) -> None:
        """Replace every other valid id by that of an existing record that the account may see."""
        pick = own_ids(self.scenario, account_kind_for(api, row.route))
        for name, value in dict(case.path_parameters or {}).items():
            place = row.path_parameters()[name]
            number = _uuid_as_int(value)
            if (
                number is not None
                and number % 2
                and isinstance(place, IdOf)
                and place.record in REPLACEABLE_IDS
            ):
                case.path_parameters[name] = str(pick(place.record))
            if name == "token" and len(str(value)) % 2:
                case.path_parameters[name] = report_token(self.scenario.app_context.settings.gateway_secret)

    def _credentials(self, api: str, route: str, method: str, url: str) -> dict[str, str]:
        if api == "mobile":
            phone = self.scenario.phone
            path = unquote(urlsplit(url).path).removeprefix("/mobile")
            return {
                "Authorization": f"DPoP {phone.token}",
                "DPoP": phone.proof(method, path, phone.token),
            }
        if route in UNAUTHENTICATED_STAFF_ROUTES | SESSION_ENDING_ROUTES:
            return {"Origin": OWN_ORIGIN}
        token = self.scenario.staff_member(account_kind_for(api, route)).staffer.tokens["access_token"]
        return {"Authorization": f"Bearer {token}"}


REPLACEABLE_IDS = {
    *PATH_RECORDS.values(),
    "doomed_account",
    "bystander",
    "voidable",
    "attested",
    "second_student",
}


def _uuid_as_int(value: Any) -> int | None:
    try:
        return UUID(value).int
    except (ValueError, AttributeError, TypeError):
        return None
