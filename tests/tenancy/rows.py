"""How a row of the matrix of roles and tenants is written; `tests.tenancy.matrix` holds them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.tenancy.fixtures import Company

KINDS = ("province", "bureau", "registrar", "counselor")

PATH_THINGS: dict[str, str] = {
    "account_id": "account",
    "attachment_id": "attachment",
    "application_id": "aid_application",
    "export_id": "aid_export",
    "withdrawal_id": "aid_filing",
    "check_id": "correction",
    "claim_id": "claim",
    "counselor_id": "counselor",
    "group_id": "notice_group",
    "leave_id": "waiting_leave",
    "notice_id": "notice",
    "outage_id": "outage",
    "prompt_id": "prompt",
    "registration_id": "registration",
    "roll_call_id": "roll_call",
    "site_id": "site",
    "stand_in_id": "stand_in",
    "student_id": "student",
    "submission_id": "submission",
    "term_id": "term",
    "version_id": "pending_version",
}
"""The thing that a path parameter names, unless a row says otherwise."""


@dataclass(frozen=True, slots=True)
class Of:
    """The id of a tenant-owned thing."""

    thing: str


@dataclass(frozen=True, slots=True)
class Made:
    """A value made for each request."""

    make: Callable[["Company"], Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One route, as one kind of request; `words` by kind of account, or by the student alone on the phone."""

    route: str
    words: str
    body: Any = None
    query: dict[str, Any] = field(default_factory=dict)
    path: dict[str, Any] = field(default_factory=dict)
    content: Made | None = None
    media: str | None = None
    pictures: str | None = None
    why: str = ""

    @property
    def method(self) -> str:
        return self.route.partition(" ")[0]

    @property
    def template(self) -> str:
        return self.route.partition(" ")[2]

    @property
    def name(self) -> str:
        return f"{self.route} {self.why}".strip()

    def expected(self, kind: str) -> str:
        """What this kind of account is answered."""
        words = self.words.split()
        return words[0] if len(words) == 1 else words[KINDS.index(kind)]

    def places(self) -> dict[str, Any]:
        """What fills the path's parameters."""
        names = [part.strip("{}") for part in self.template.split("/") if part.startswith("{")]
        return {name: self.path.get(name, Of(PATH_THINGS.get(name, name))) for name in names}

    def things(self) -> list[str]:
        """The tenant-owned things whose ids the request carries, in path, query and body."""
        found: list[str] = []
        _collect([self.places(), self.query, self.body], found)
        return found

    def filters(self) -> set[str]:
        """Those of them that narrow a list: another's id leaves it empty instead of answering 404."""
        found: list[str] = []
        _collect(self.query, found)
        return set(found) if "stream" not in self.route and "progress" not in self.route else set()


def _collect(template: Any, found: list[str]) -> None:
    match template:
        case Of(thing):
            found.append(thing)
        case dict():
            _collect(list(template.values()), found)
        case list():
            for each in template:
                _collect(each, found)
