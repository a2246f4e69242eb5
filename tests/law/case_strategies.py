"""Hypothesis strategies for requests of the simulator: few ids and days, so that facts meet each other."""

from datetime import date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

START = datetime(2025, 8, 25)  # noqa: DTZ001 - written as text in Beijing time
DAYS = 170
IDS = st.sampled_from(["a", "b", "m1", "m2"])
PROMPTS = st.sampled_from(["misses", "misses", "misses#2", "leave_over_cap", "absence_without_leave"])
STANDINGS = st.sampled_from(["01", "02", "03", "05", "07", "99"])
FORMS = st.sampled_from(["full_time", "part_time"])
OUTCOMES = st.sampled_from(["present", "missed", "excused", "undetermined"])


def _as_day(number: int) -> str:
    return (date(2025, 8, 25) + timedelta(days=number)).isoformat()


def _as_instant(hours: int) -> str:
    return (START + timedelta(hours=hours)).strftime("%Y-%m-%d %H:%M")


day = st.integers(0, DAYS).map(_as_day)
instant = st.integers(0, DAYS * 24).map(_as_instant)
month = st.sampled_from(["2025-08", "2025-09", "2025-10", "2025-12", "2026-01", "2026-02"])
text = st.text(max_size=12)


def _fact(kind: str, required: dict[str, Any], optional: dict[str, Any] | None = None) -> Any:
    content = st.fixed_dictionaries(required, optional=optional or {})
    return content.map(lambda each: {kind: each})


FACTS = st.one_of(
    _fact(
        "roll_call",
        {"id": IDS, "on": day, "outcome": st.just("missed")},
        {
            "kind": st.sampled_from(["spot_check", "registration", "rehearsal", "school_own"]),
            "launcher": st.sampled_from(["province", "bureau", "school"]),
            "settled": instant,
            "later_results": st.lists(
                st.fixed_dictionaries({"at": instant, "outcome": OUTCOMES}), max_size=2
            ),
            "notice_delivered": st.one_of(st.just("never"), instant),
            "missing_evidence": st.lists(st.sampled_from(["window", "versions"]), max_size=2),
            "voided": instant,
            "replaces": IDS,
        },
    ),
    _fact("roll_call", {"id": IDS, "opens": instant, "closes": instant}, {"outcome": OUTCOMES}),
    _fact(
        "leave",
        {"id": IDS, "filed": instant, "from": st.one_of(day, instant), "to": st.one_of(day, instant)},
        {"approved": instant, "refused": instant, "cancelled": instant, "returned": instant},
    ),
    _fact(
        "reason_claim",
        {"id": IDS, "roll_call": IDS, "filed": instant, "reason": st.sampled_from(["illness", "overslept"])},
        {"text": text, "leave": IDS, "decided": instant, "accepted": st.booleans()},
    ),
    _fact(
        "outage",
        {"id": IDS, "declared": instant, "from": instant},
        {"to": instant, "approved": st.booleans()},
    ),
    _fact("attendance", {"id": IDS, "at": instant, "present": st.booleans()}, {"recorded": instant}),
    _fact("prompt_delivered", {"prompt": PROMPTS, "at": instant}),
    _fact(
        "decision",
        {
            "id": IDS,
            "prompt": PROMPTS,
            "at": instant,
            "outcome": st.sampled_from(["part_time", "suspension", "withdrawal", "dismiss", "unheard_of"]),
        },
        {
            "role": st.sampled_from(["registrar", "superior"]),
            "reasons": text,
            "found_reason": st.sampled_from(["illness", "other", "overslept"]),
            "found_text": text,
        },
    ),
    _fact("acknowledgement", {"decision": IDS, "at": instant, "accepted": st.booleans()}),
    _fact(
        "evidence",
        {"roll_call": IDS, "at": instant, "part": st.sampled_from(["notice", "submissions"])},
        {"delivered": instant},
    ),
    _fact("closure", {"prompt": PROMPTS, "at": instant}),
    _fact("leave_answer", {"leave": IDS, "at": instant, "accepted": st.booleans()}),
    _fact(
        "appeal",
        {"id": IDS, "filed": instant, "change": st.one_of(st.just("latest"), st.integers(1, 3))},
        {"decided": instant, "upheld": st.booleans(), "previous": IDS},
    ),
    _fact(
        "appeal",
        {"id": IDS, "filed": instant, "roll_call": IDS},
        {"decided": instant, "upheld": st.booleans(), "finding": st.sampled_from(["excused", "present"])},
    ),
    _fact("reversal", {"id": IDS, "at": instant, "reasons": text}),
    _fact(
        "edit",
        {"id": IDS, "at": instant, "item": st.sampled_from(["standing_change", "study_form", "graduation"])},
        {"standing": STANDINGS, "study_form": FORMS, "approval": IDS},
    ),
    _fact("transfer", {"id": IDS, "at": instant}),
    _fact("approval", {"id": IDS, "at": instant}),
    _fact(
        "aid",
        {
            "id": IDS,
            "kind": st.sampled_from(["grant", "tuition_waiver"]),
            "term": st.just("T"),
            "approved": instant,
        },
        {"months": st.lists(month, max_size=3)},
    ),
    _fact(
        "payment", {"id": IDS, "aid": IDS, "month": month, "paid": instant, "fen": st.integers(1, 200_000)}
    ),
)


BASE = (
    {"roll_call": {"id": "m1", "on": "2025-09-08", "outcome": "missed"}},
    {"roll_call": {"id": "m2", "on": "2025-09-15", "outcome": "missed"}},
    {"prompt_delivered": {"prompt": "misses", "at": "2025-09-15 15:00"}},
    {"leave": {"id": "a", "filed": "2025-09-20 08:00", "from": "2025-10-01", "to": "2025-10-05"}},
    {"aid": {"id": "a", "kind": "grant", "term": "T", "approved": "2025-09-05 09:00"}},
    {"attendance": {"id": "a", "at": "2025-10-20 09:00", "present": False}},
)
"""Something for the drawn facts to refer to."""


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """A request whose facts have unique ids; some of them refer to nothing."""
    facts: list[dict[str, Any]] = []
    seen: set[tuple[str, str]] = set()
    for fact in (*BASE, *draw(st.lists(FACTS, max_size=4))):
        [(kind, content)] = fact.items()
        key = (kind, content.get("id", str(len(facts))))
        if key not in seen:
            seen.add(key)
            facts.append(fact)
    return {
        "name": "随机事实",
        "terms": [
            {
                "code": "T",
                "from": draw(st.sampled_from(["2025-08-25", "2025-09-01", "2025-09-12"])),
                "to": "2026-02-15",
            },
            {"code": "2026-spring", "from": "2026-03-01", "to": "2026-07-05"},
        ],
        "student": draw(st.fixed_dictionaries({}, optional={"standing": STANDINGS, "study_form": FORMS})),
        "facts": facts,
        "at": draw(st.lists(instant, min_size=1, max_size=3)),
    }
