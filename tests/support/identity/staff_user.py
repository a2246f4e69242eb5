"""A staff user with an authenticator app, who activates and signs in over HTTP."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pyotp
from httpx import Response

from backend.core.actor import Role
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.identity.accounts import staff_accounts
from backend.identity.accounts.staff_accounts import Invitation, InviteAccount
from backend.identity.policy import province_policy
from backend.org.tables import OrgUnit
from tests.support.identity.scenario import IdentityScenario
from tests.support.province import PROVINCE_PATH

ONE_SECOND = timedelta(seconds=1)
PASSWORD = "春风又绿江南岸-明月何时照我还"


def new_login() -> str:
    return f"t{uuid4().hex[:16]}"


@dataclass(slots=True)
class StaffUser:
    """Login and activation code; after activation, the authenticator's secret and tokens."""

    scenario: IdentityScenario
    login: str
    code: str
    account_id: UUID
    secret: str = ""
    tokens: dict[str, Any] = field(default_factory=dict)

    async def begin(self, **changes: Any) -> Response:
        profile = {"name": "李老师", "phone": "13800000000"}
        body = {"login": self.login, "activation_code": self.code, "password": PASSWORD, "profile": profile}
        answer = await self.scenario.staff.post("/v1/activations", json=body | changes)
        if answer.is_success:
            self.secret = pyotp.parse_uri(answer.json()["otpauth_uri"]).secret
        return answer

    def totp(self) -> str:
        """The next code of the app. Moves the clock by one step, because a code is accepted once."""
        self.scenario.clock.offset += 30 * ONE_SECOND
        return pyotp.TOTP(self.secret).at(self.scenario.clock())

    async def confirm(self, **changes: Any) -> Response:
        body = {"login": self.login, "activation_code": self.code, "totp": self.totp()}
        return await self.scenario.staff.post("/v1/activations/confirmation", json=body | changes)

    async def sign_in(self, **changes: Any) -> Response:
        body = {"login": self.login, "password": PASSWORD}
        body |= {} if "totp" in changes else {"totp": self.totp()}
        answer = await self.scenario.staff.post("/v1/sessions", json=body | changes)
        if answer.is_success:
            self.tokens = answer.json()
        return answer

    async def refresh(self, token: str) -> Response:
        return await self.scenario.staff.post("/v1/sessions/refresh", json={"refresh_token": token})

    async def request(self, method: str, path: str, **options: Any) -> Response:
        headers = {"Authorization": f"Bearer {self.tokens['access_token']}"}
        return await self.scenario.staff.request(method, path, headers=headers, **options)

    async def get(self, path: str, **params: Any) -> Response:
        return await self.request("GET", path, params=params)

    async def post(self, path: str, body: Any = None) -> Response:
        return await self.request("POST", path, json=body)

    async def invite(self, kind: Role, org_id: UUID) -> Response:
        body = {"kind": kind, "org_id": str(org_id), "login": new_login(), "display_name": "下级"}
        return await self.post("/v1/accounts", body)

    async def create_subordinate(self, kind: Role, org_id: UUID) -> "StaffUser":
        """Invite a subordinate, activate the account and sign in."""
        login = new_login()
        body = {"kind": kind, "org_id": str(org_id), "login": login, "display_name": "下级"}
        answer = await self.post("/v1/accounts", body)
        assert answer.status_code == 201, answer.text
        created = answer.json()
        return await _activate(
            StaffUser(self.scenario, login, created["activation_code"], UUID(created["account_id"]))
        )


async def _activate(user: StaffUser) -> StaffUser:
    for step in (user.begin, user.confirm, user.sign_in):
        answer = await step()
        assert answer.is_success, answer.text
    return user


async def create_invited_user(scenario: IdentityScenario, kind: Role, org_id: UUID) -> StaffUser:
    """Invite a staff user to a unit."""
    login, at = new_login(), scenario.clock()
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        unit = await session.get_one(OrgUnit, org_id)
        command = InviteAccount(kind, org_id, login, "某某", None)
        made: Invitation = await staff_accounts.create_account(
            session, command, unit, province_policy(scenario.app_context, at), at, new_id()
        )
    return StaffUser(scenario, login, made.activation_code, made.account.id)


async def create_staff_user(scenario: IdentityScenario, kind: Role, org_id: UUID) -> StaffUser:
    """Create an active and signed-in staff user of a unit."""
    return await _activate(await create_invited_user(scenario, kind, org_id))
