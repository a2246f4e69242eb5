"""Reads the law of registration from the policy (policies/national/registration.yaml and local files)."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from backend.policy import PolicyAt
from backend.policy.history import Citation
from backend.registration.rules import CutOffRule, Half, RegistrationLaw

_CUT_OFFS: Mapping[str, str | None] = {
    "registration.cut_offs.usual": None,
    "registration.cut_offs.technician": "technician",
}
"""Parameters that set cut-offs, and the programme that each is about."""


def registration_law(policy: PolicyAt) -> RegistrationLaw:
    """The law in force. Raises `AbsentLaw`."""
    return RegistrationLaw(
        half_of_month=dict(_months(policy)),
        cut_offs=tuple(_cut_offs(policy)),
        refused_categories=frozenset(_refused_categories(policy)),
        record_working_days=policy.integer("registration.record.working_days"),
        initial_load=timedelta(days=policy.integer("registration.initial_load.days")),
        version=policy.version,
    )


def _months(policy: PolicyAt) -> Iterator[tuple[int, Half]]:
    for row in policy.table("registration.seasons"):
        for month in range(int(row["first_month"]), int(row["last_month"]) + 1):
            yield month, Half(str(row["season"]))


def _cut_offs(policy: PolicyAt) -> Iterator[CutOffRule]:
    for parameter, programme in _CUT_OFFS.items():
        for citation in policy.references_of_all_places(parameter):
            for row in _rows(citation):
                half, month, day = Half(str(row["season"])), int(row["month"]), int(row["day"])
                yield CutOffRule(half, programme, month, day, citation)


def _rows(citation: Citation) -> list[dict[str, str | int]]:
    assert isinstance(citation.value, list), citation.parameter
    return citation.value


def _refused_categories(policy: PolicyAt) -> Iterator[tuple[str, str, str]]:
    for row in policy.table("registration.categories"):
        for study_form in ("full_time", "part_time"):
            if row[study_form] == "refused":
                yield str(row["programme"]), str(row["category"]), study_form
