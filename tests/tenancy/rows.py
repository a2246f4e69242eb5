"""The type of a row of the matrix of roles and tenants (`tests.tenancy.matrix`)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.tenancy.fixtures import TenancyScenario

ROLES = ("province", "bureau", "registrar", "counselor")

PATH_RECORDS: dict[str, str] = {
    "account_id": "account",
    "attachment_id": "attachment",
    "application_id": "aid_application",
    "export_id": "aid_export",
    "withdrawal_id": "aid_filing",
    "check_id": "correction",
    "candidate_id": "candidate",
    "claim_id": "claim",
    "class_id": "class",
    "counselor_id": "counselor",
    "difference_id": "difference",
    "enrolment_id": "enrolment",
    "group_id": "notice_group",
    "inspection_id": "inspection",
    "leave_id": "waiting_leave",
    "licence_id": "licence",
    "look_id": "look",
    "notice_id": "notice",
    "outage_id": "outage",
    "portrait_id": "portrait",
    "prompt_id": "prompt",
    "registration_id": "registration",
    "roll_call_id": "roll_call",
    "school_id": "school",
    "site_id": "site",
    "stand_in_id": "stand_in",
    "student_id": "student",
    "submission_id": "submission",
    "term_id": "term",
    "threshold_id": "threshold",
    "version_id": "pending_version",
}
"""The record that fills a path parameter, unless a row names another."""


@dataclass(frozen=True, slots=True)
class IdOf:
    """The id of a tenant-owned record."""

    record: str


@dataclass(frozen=True, slots=True)
class Computed:
    """A value computed for each request."""

    make: Callable[["TenancyScenario"], Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of request to a route. `statuses` has one cell per role, or one for all (and for students)."""

    route: str
    statuses: str
    body: Any = None
    query: dict[str, Any] = field(default_factory=dict)
    path: dict[str, Any] = field(default_factory=dict)
    content: Computed | None = None
    media: str | None = None
    pictures: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def method(self) -> str:
        return self.route.partition(" ")[0]

    @property
    def template(self) -> str:
        return self.route.partition(" ")[2]

    @property
    def name(self) -> str:
        return f"{self.route} {self.note}".strip()

    def expected(self, role: str) -> str:
        """Return the cell of a role."""
        cells = self.statuses.split()
        return cells[0] if len(cells) == 1 else cells[ROLES.index(role)]

    def path_parameters(self) -> dict[str, Any]:
        """Return the values of the path parameters."""
        names = [part.strip("{}") for part in self.template.split("/") if part.startswith("{")]
        return {name: self.path.get(name, IdOf(PATH_RECORDS.get(name, name))) for name in names}

    def record_names(self) -> list[str]:
        """Return the tenant-owned records whose ids are in path, query or body."""
        names: list[str] = []
        _collect_records([self.path_parameters(), self.query, self.body], names)
        return names

    def client_of_phone(self) -> str:
        """Return the client that sends a row of the mobile API: a student's phone, or a guardian with a link."""
        return "guardian" if self.template.startswith("/v1/guardian/") else "student"

    def filter_names(self) -> set[str]:
        """Return the records that filter a list: an id of another tenant gives an empty list instead of 404.

        The audience of a preview filters its list of schools.
        """
        names: list[str] = []
        _collect_records(self.query, names)
        if self.route.endswith("/preview"):
            _collect_records(self.body, names)
        return set(names) if "stream" not in self.route and "progress" not in self.route else set()


def _collect_records(template: Any, names: list[str]) -> None:
    match template:
        case IdOf(record):
            names.append(record)
        case dict():
            _collect_records(list(template.values()), names)
        case list():
            for each in template:
                _collect_records(each, names)
