"""The expected status of every route of both APIs for every role (THREATS requirement 6; HN334-2.3).

The cells of a row are in the order of the roles in `tests.tenancy.rows`: `ok` is any success, a number is exactly that
status, `ok/409` is either, for actions that take effect only once. Ids of tenant-owned records are named explicitly or
follow from the path parameter. Tests send each row with the caller's own ids, and again with ids of another tenant and
with unknown ids.
"""

from datetime import timedelta

from backend.core.clock import legal_day
from backend.core.ids import new_id
from backend.org.calendar import FIXED_HOLIDAYS
from tests.support.campus import polygon, rectangle
from tests.support.identity.browser import OWN_ORIGIN
from tests.support.province import unique_school_code
from tests.support.roll_call.attester import attester_position
from tests.tenancy.cases import CASE_MODULES
from tests.tenancy.fixtures import TenancyScenario
from tests.tenancy.rows import Computed, IdOf, Row


def _unique_login(_: TenancyScenario) -> str:
    return f"t{new_id().hex}"


def _unique_site_name(_: TenancyScenario) -> str:
    return f"校区{new_id()}"


def _unique_school_code(_: TenancyScenario) -> str:
    return unique_school_code()


def _time_from_now(**delta: float) -> Computed:
    return Computed(lambda scenario: (scenario.clock() + timedelta(**delta)).isoformat())


def _frame(scenario: TenancyScenario) -> bytes:
    frame: bytes = scenario.records["school"]["frame"]
    return frame


OUTLINE = {"format": "geojson", "datum": "wgs84", "geojson": polygon(rectangle())}
FILING = {"outline": OUTLINE}
HOLIDAYS = [f"2093-{month:02d}-{day:02d}" for month, day in FIXED_HOLIDAYS]
ATTESTED = {"student_id": IdOf("attested")}
SIGN_IN = {"login": "nobody.here", "password": "春风又绿江南岸-明月何时", "totp": "000000"}
CREDENTIAL = {"id": "AQIDBA", "rawId": "AQIDBA", "type": "public-key"}
NEW_CREDENTIAL = CREDENTIAL | {"response": {"clientDataJSON": "e30", "attestationObject": "oA"}}
ASSERTION = CREDENTIAL | {"response": {"clientDataJSON": "e30", "authenticatorData": "AA", "signature": "AA"}}
OWN_PAGE = {"Origin": OWN_ORIGIN}
ACTIVATION = {"login": "nobody.here", "activation_code": "ABCDEFGH23456723"}

STAFF: tuple[Row, ...] = (
    # Requests without credentials are rejected for their content.
    Row("POST /v1/sessions", "401", SIGN_IN),
    Row("POST /v1/sessions/refresh", "401", {"refresh_token": "2Zg0yWQ7mLk3v1xq9sT8bA"}),
    Row(
        "POST /v1/browser-sessions",
        "401",
        SIGN_IN | {"login": Computed(_unique_login)},  # so that failures of other rows do not delay it
        headers=OWN_PAGE,
    ),
    Row("POST /v1/passkey-challenges", "ok"),
    Row("POST /v1/browser-sessions/passkey", "401", {"credential": ASSERTION}, headers=OWN_PAGE),
    Row("POST /v1/browser-sessions/refresh", "401", headers=OWN_PAGE),
    Row("POST /v1/browser-sessions/refresh", "403", note="from no page"),
    Row("DELETE /v1/browser-sessions/current", "ok", headers=OWN_PAGE),
    Row("DELETE /v1/browser-sessions/current", "403", note="from no page"),
    Row(
        "POST /v1/activations",
        "401",
        ACTIVATION | {"password": SIGN_IN["password"], "profile": {"name": "李老师", "phone": "13800000000"}},
    ),
    Row("POST /v1/activations/confirmation", "401", ACTIVATION | {"totp": "000000"}),
    Row("POST /v1/callbacks/sms-reports/{token}", "404", [], path={"token": "guessed"}),
    # ----------------------------------------------- province bureau registrar counselor
    Row("GET /v1/me", "ok       ok     ok        ok"),
    Row("GET /v1/me/work-queue", "ok       ok     ok        ok"),
    Row("DELETE /v1/sessions/current", "ok       ok     ok        ok"),
    Row("GET /v1/sessions", "ok       ok     ok        ok"),
    Row("DELETE /v1/sessions", "ok       ok     ok        ok"),
    Row(
        "DELETE /v1/sessions/{session_id}",
        "404      404    404       404",
        path={"session_id": IdOf("account")},
    ),
    Row("GET /v1/me/passkeys", "ok       ok     ok        ok"),
    Row("POST /v1/me/passkeys/registration-challenges", "ok       ok     ok        ok"),
    Row("POST /v1/me/passkeys/confirmation-challenges", "ok       ok     ok        ok"),
    Row(
        "POST /v1/me/passkeys",
        "422      422    422       422",
        {"name": "办公室电脑", "totp": "000000", "credential": NEW_CREDENTIAL},
    ),
    Row(
        "PUT /v1/me/passkeys/{passkey_id}/name",
        "404      404    404       404",
        {"name": "家里的手机"},
        path={"passkey_id": IdOf("account")},
    ),
    Row(
        "DELETE /v1/me/passkeys/{passkey_id}",
        "404      404    404       404",
        path={"passkey_id": IdOf("account")},
    ),
    Row("GET /v1/me/sign-ins", "ok       ok     ok        ok"),
    Row("GET /v1/sign-ins", "ok       ok     ok        403"),
    Row(
        "POST /v1/accounts",
        "ok       403    404       404",
        {"kind": "bureau", "org_id": IdOf("city"), "login": Computed(_unique_login), "display_name": "市局"},
        note="of a bureau",
    ),
    Row(
        "POST /v1/accounts",
        "403      ok     403       403",
        {
            "kind": "registrar",
            "org_id": IdOf("school"),
            "login": Computed(_unique_login),
            "display_name": "王老师",
        },
        note="of a registrar",
    ),
    Row(
        "POST /v1/accounts",
        "403      403    ok        403",
        {
            "kind": "counselor",
            "org_id": IdOf("school"),
            "login": Computed(_unique_login),
            "display_name": "李老师",
        },
        note="of a counselor",
    ),
    Row("GET /v1/accounts", "ok       ok     ok        403"),
    Row("GET /v1/accounts/{account_id}", "ok       ok     ok        404"),
    Row("POST /v1/accounts/{account_id}/invitation", "403      403    ok        404"),
    Row(
        "POST /v1/accounts/{account_id}/disable",
        "403      403    ok        404",
        {"reason": "离职"},
        path={"account_id": IdOf("doomed_account")},
    ),
    Row(
        "POST /v1/accounts/{account_id}/enable",
        "403      403    ok/409    404",
        {"reason": "复职"},
        path={"account_id": IdOf("doomed_account")},
    ),
    Row(
        "POST /v1/counselor-invitations/check",
        "403      403    ok        403",
        {"rows": [{"name": "李老师", "phone": "13800000000", "class_names": ["2024级1班"]}]},
    ),
    Row(
        "POST /v1/counselor-invitations",
        "403      403    ok        403",
        {"rows": [{"name": "李老师", "phone": "13800000000", "class_names": ["2024级1班"]}]},
    ),
    Row(
        "POST /v1/accounts",
        "ok       404    404       404",
        {
            "kind": "province",
            "org_id": Computed(lambda scenario: str(scenario.world.province.id)),
            "login": Computed(_unique_login),
            "display_name": "省厅",
        },
        note="of a further province account",
    ),
    Row(
        "POST /v1/accounts/{account_id}/authenticator-resets",
        "409      409    409       404",
        {"reason": "手机丢失"},
        note="of an account that is not activated",
    ),
    Row("GET /v1/authenticator-resets", "ok       ok     ok        403"),
    Row(
        "POST /v1/authenticator-resets/{reset_id}/decision",
        "ok/409   ok/409 ok/409    404",
        {"outcome": "refused"},
        path={"reset_id": IdOf("reset")},
    ),
    Row(
        "POST /v1/me/password",
        "422",
        {
            "password": "不是这个密码-春风又绿",
            "totp": "000000",
            "new_password": "两个黄鹂鸣翠柳-一行白鹭上青天",
        },
        note="with a wrong password",
    ),
    Row(
        "POST /v1/counselors/{counselor_id}/classes",
        "403      403    ok        403",
        {"class_ids": [IdOf("spare_class")]},
    ),
    Row("GET /v1/readiness", "ok       ok     ok        ok"),
    Row("GET /v1/students/{student_id}/activation", "ok       ok     ok        ok"),
    Row(
        "POST /v1/students/{student_id}/device/revocation",
        "403      403    ok        403",
        {"reason": "手机丢失"},
        path={"student_id": IdOf("bystander")},
    ),
    Row(
        "POST /v1/students/{student_id}/binding-codes",
        "403      403    ok        ok",
        {"identity_check": "当面核对身份证"},
    ),
    Row("GET /v1/students/{student_id}/cool-down-acts", "ok       ok     ok        ok"),
    Row("GET /v1/rebinding-objections", "ok       ok     ok        ok"),
    Row(
        "POST /v1/rebinding-objections/{objection_id}/decision",
        "403      403    ok/409    ok/409",
        {"outcome": "dismissed", "reason": "当面核对，本人换机"},
        path={"objection_id": IdOf("objection")},
    ),
    Row("GET /v1/record-corrections", "ok       ok     ok        ok"),
    Row(
        "POST /v1/record-corrections/{check_id}/decision",
        "403      403    ok        404",
        {"decision": "accepted"},
    ),
    Row("GET /v1/undetermined-results", "ok       ok     ok        403"),
    Row("GET /v1/audit-entries", "ok       ok     ok        403", query={"student_id": IdOf("student")}),
    Row(
        "GET /v1/audit-entries",
        "ok       404    404       403",
        query={"unit_id": Computed(lambda scenario: str(scenario.world.province.id))},
        note="of the whole province",
    ),
    Row("GET /v1/units", "ok       ok     ok        ok"),
    Row("GET /v1/schools", "ok       ok     ok        ok"),
    Row(
        "GET /v1/unit-outlines",
        "ok       ok     ok        ok",
        query={"unit_id": IdOf("school")},
    ),
    Row(
        "POST /v1/schools",
        "ok       ok     403       403",
        {"code": Computed(_unique_school_code), "name": "新建职业学校", "parent_id": IdOf("city")},
    ),
    Row(
        "POST /v1/counties",
        "ok/409   ok/409 403       403",
        {"code": "410122", "name": "中牟县"},
    ),
    Row("GET /v1/terms", "ok       ok     ok        ok"),
    Row(
        "POST /v1/terms",
        "ok       ok/409 ok/409    403",
        {"org_id": IdOf("school"), "code": "2090-autumn", "starts_on": "2090-09-01", "ends_on": "2091-01-31"},
    ),
    Row(
        "POST /v1/terms/{term_id}/vacations",
        "ok       ok     ok        403",
        Computed(
            lambda scenario: {"name": "校庆"} | dict.fromkeys(("starts_on", "ends_on"), _today(scenario))
        ),
    ),
    Row("GET /v1/calendar-years", "ok       ok     ok        ok"),
    Row(
        "POST /v1/calendar-years",
        "ok       403    403       403",
        {"year": 2093, "source": "国办发明电", "holidays": HOLIDAYS, "makeup_workdays": []},
    ),
    Row("GET /v1/sites", "ok       ok     ok        ok", query={"school_id": IdOf("school")}),
    Row(
        "POST /v1/sites",
        "403      403    ok        403",
        {**FILING, "name": Computed(_unique_site_name), "kind": "branch", "address": "郑州市某路2号"},
    ),
    Row("POST /v1/sites/validation", "ok       ok     ok        ok", {"outline": OUTLINE}),
    Row("GET /v1/sites/{site_id}", "ok       ok     ok        ok"),
    Row("POST /v1/sites/{site_id}/versions", "403      403    ok        403", FILING),
    Row(
        "GET /v1/schools/{school_id}/site-area-exceptions",
        "ok       ok     ok        ok",
        path={"school_id": IdOf("school")},
    ),
    Row(
        "POST /v1/schools/{school_id}/site-area-exceptions",
        "ok       ok     403       403",
        {"max_area_m2": 3_500_000, "reason": "实测面积"},
        path={"school_id": IdOf("school")},
    ),
    Row(
        "POST /v1/site-versions/{version_id}/decision",
        "ok       ok/409 403       403",
        {"outcome": "rejected", "opinion": "范围与备案地址不符"},
    ),
    Row("GET /v1/classes", "ok       ok     ok        ok", query={"school_id": IdOf("school")}),
    Row(
        "GET /v1/classes",
        "ok       ok     ok        ok",
        query={"unassigned": "false", "sort": "unassigned"},
        note="in another order",
    ),
    Row("GET /v1/classes/{class_id}", "ok       ok     ok        ok"),
    Row(
        "GET /v1/students",
        "ok       ok     ok        ok",
        query={"school_id": IdOf("school"), "class_id": IdOf("class")},
    ),
    Row("GET /v1/students/{student_id}", "ok       ok     ok        ok"),
    Row("GET /v1/students/{student_id}/timeline", "ok       ok     ok        ok"),
    Row(
        "GET /v1/students/{student_id}/timeline",
        "403      403    ok        ok",
        query={"kind": "leave"},
        note="of a kind for the school",
    ),
    Row(
        "GET /v1/students/{student_id}/timeline",
        "ok       ok     ok        403",
        query={"kind": "appeal"},
        note="of a kind that is not for counselors",
    ),
    Row(
        "POST /v1/roster-imports",
        "403      403    422       403",
        query={"file_name": "新生.csv"},
        content=Computed(lambda _: "这不是花名册".encode()),
        media="application/octet-stream",
        note="with invalid content",
    ),
    Row(
        "POST /v1/roster-annotations",
        "403      403    422       403",
        query={"file_name": "新生.csv"},
        content=Computed(lambda _: "这不是花名册".encode()),
        media="application/octet-stream",
        note="with invalid content",
    ),
    Row("GET /v1/roster-template", "ok       ok     ok        ok"),
    Row("GET /v1/launch-options", "ok       ok     ok        ok"),
    Row(
        "POST /v1/roll-calls/preview",
        "ok       ok     403       403",
        {
            "kind": "spot_check",
            "title": "学籍核验",
            "opens_at": _time_from_now(days=2),
            "closes_at": _time_from_now(days=2, hours=1),
            "audience": {"class_ids": [IdOf("class")]},
        },
    ),
    Row(
        "POST /v1/roll-calls",
        "ok       ok/409 403       403",
        {
            "kind": "spot_check",
            "title": "学籍核验",
            "opens_at": _time_from_now(days=2),
            "closes_at": _time_from_now(days=2, hours=1),
            "audience": {"class_ids": [IdOf("class")]},
        },
        note="by a superior",
    ),
    Row(
        "POST /v1/roll-calls",
        "403      403    ok        403",
        {
            "kind": "school_own",
            "title": "校内点名",
            "opens_at": _time_from_now(days=3),
            "closes_at": _time_from_now(days=3, hours=1),
            "audience": {"class_ids": [IdOf("class")]},
        },
        note="by a school",
    ),
    Row("GET /v1/roll-calls", "ok       ok     ok        ok"),
    Row("GET /v1/roll-calls/{roll_call_id}", "ok       ok     ok        ok"),
    Row(
        "POST /v1/roll-calls/{roll_call_id}/voiding",
        "ok       ok/409 403       403",
        {"reason": "全市停电，无法核验"},
        path={"roll_call_id": IdOf("voidable")},
    ),
    Row(
        "POST /v1/roll-calls/{roll_call_id}/urges",
        "403      403    ok        ok/429",
        {"class_id": IdOf("class")},
    ),
    Row(
        "GET /v1/roll-calls/{roll_call_id}/missing",
        "ok       ok     ok        ok",
        query={"class_id": IdOf("class")},
    ),
    Row(
        "GET /v1/roll-calls/{roll_call_id}/results",
        "ok       ok     ok        ok",
        query={"class_id": IdOf("class"), "school_id": IdOf("school")},
    ),
    *(
        Row(
            f"GET /v1/roll-calls/{{roll_call_id}}/{name}.xlsx",
            "ok       ok     ok        ok",
            query={"unit_id": IdOf("school")},
        )
        for name in ("results", "missing")
    ),
    Row("GET /v1/roll-calls/{roll_call_id}/results/{student_id}/attempts", "ok       ok     ok        ok"),
    Row("GET /v1/students/{student_id}/roll-calls", "403      403    ok        ok"),
    Row("GET /v1/registration-checks/overdue", "ok       ok     ok        ok"),
    Row(
        "GET /v1/roll-calls/{roll_call_id}/progress",
        "ok       ok     ok        ok",
        query={"unit_id": IdOf("school")},
    ),
    *(
        Row(
            f"GET /v1/roll-calls/{{roll_call_id}}/progress/{name}",
            "ok       ok     ok        403",
            query={"unit_id": IdOf("school")},
        )
        for name in ("curve", "places")
    ),
    Row(
        "GET /v1/roll-calls/{roll_call_id}/progress/stream",
        "ok       ok     ok        ok",
        query={"unit_id": IdOf("school")},
    ),
    Row("GET /v1/sites/{site_id}/check-in-cells", "ok       ok     ok        403"),
    Row("GET /v1/rehearsal-cohorts", "ok       ok     ok        ok"),
    Row("GET /v1/rehearsal-readiness", "ok       ok     ok        ok", query={"cohort": "enrolled"}),
    Row(
        "POST /v1/rehearsal-reminders",
        "ok       ok     403       403",
        {"cohort": "enrolled", "school_ids": [IdOf("school")]},
        note="a row is refused, not the request",
    ),
    Row(
        "POST /v1/students/{student_id}/card-code",
        "403      403    ok        403",
        path={"student_id": IdOf("second_student")},
    ),
    Row("GET /v1/roll-calls/{roll_call_id}/sites", "ok       ok     ok        ok"),
    Row(
        "POST /v1/roll-calls/{roll_call_id}/attestations",
        "403      403    403       ok",
        {
            "student_id": IdOf("bystander"),
            "code": Computed(lambda scenario: scenario.records["school"]["bystander_code"]),
            "site_version_id": IdOf("site_version"),
            "reason": "手机损坏",
            "position": attester_position(),
        },
    ),
    Row("GET /v1/roll-calls/{roll_call_id}/attestations", "ok       ok     ok        ok"),
    Row("GET /v1/attestation-reasons", "ok       ok     ok        ok"),
    Row("GET /v1/roll-calls/{roll_call_id}/attestation-limits", "403      403    ok        ok"),
    Row("GET /v1/attestation-samples", "ok       ok     ok        403"),
    Row(
        "POST /v1/roll-calls/{roll_call_id}/attestations/{student_id}/review",
        "ok       ok/409 403       403",
        {"upheld": True, "note": "已视频核对本人在校"},
        path=ATTESTED,
    ),
    Row(
        "POST /v1/roll-calls/{roll_call_id}/determinations",
        "409      409    403       403",
        {"student_id": IdOf("student"), "outcome": "present", "reason": "经核对确认在校"},
        note="before the settlement",
    ),
    Row("GET /v1/notices", "ok       ok     ok        ok"),
    Row("POST /v1/notices/{notice_id}/read", "404      404    ok        ok"),
    Row("GET /v1/notice-groups/{group_id}", "ok       ok     ok        403"),
    Row(
        "GET /v1/leave-requests",
        "403      403    ok        ok",
        query={"class_id": IdOf("class"), "student_id": IdOf("student")},
    ),
    Row("GET /v1/leave-requests/{leave_id}", "403      403    ok        ok"),
    Row(
        "POST /v1/leave-requests/{leave_id}/decision",
        "403      403    ok        ok/409",
        {"outcome": "approved", "opinion": "同意"},
    ),
    Row(
        "POST /v1/leave-requests/{leave_id}/cancellation",
        "403      403    ok        ok/409",
        {"reason": "学生已提前返校"},
        path={"leave_id": IdOf("spare_leave")},
    ),
    Row(
        "POST /v1/leave-requests/{leave_id}/return",
        "403      403    ok        ok/409",
        {},
        path={"leave_id": IdOf("begun_leave")},
    ),
    Row("GET /v1/students/{student_id}/leave-days", "403      403    ok        ok"),
    Row("GET /v1/colleagues", "403      403    ok        ok"),
    Row("GET /v1/leave-stand-ins", "403      403    ok        ok"),
    Row(
        "POST /v1/leave-stand-ins",
        "403      403    403       422",
        {
            "stand_in_id": IdOf("counselor"),
            "starts_at": _time_from_now(hours=1),
            "ends_at": _time_from_now(days=1),
        },
        note="not activated yet",
    ),
    Row("GET /v1/roll-calls/{roll_call_id}/leave-claims", "ok       ok     403       403"),
)

MOBILE: tuple[Row, ...] = (
    Row("POST /v1/registrations", "202", {"name": "某某", "id_number": "11010519491231002X"}),
    Row("POST /v1/registrations/{registration_id}/confirmation", "404", {"code": "000000"}),
    Row("GET /v1/registrations/{registration_id}", "404"),
    Row("POST /v1/registrations/{registration_id}/face", "404", pictures="shots"),
    Row("POST /v1/rebinding-objections", "409", {"note": "不是我换的"}, note="by the bound phone"),
    Row("POST /v1/token", "ok"),
    Row("GET /v1/me", "ok"),
    Row("GET /v1/me/record", "ok"),
    Row("GET /v1/me/record/checks", "ok"),
    Row("POST /v1/me/record/checks", "ok", {"result": "confirmed"}),
    Row("GET /v1/me/consents", "ok"),
    Row(
        "POST /v1/me/consents",
        "ok",
        Computed(
            lambda scenario: {"kind": "location", "granted": True, "text_version": scenario.location_text}
        ),
    ),
    Row("GET /v1/me/face", "ok"),
    Row("POST /v1/me/face", "409", pictures="shots", note="a second time"),
    Row("GET /v1/me/portrait", "ok"),
    Row("POST /v1/me/portrait", "ok", pictures="image"),
    Row("POST /v1/me/non-face-route", "ok", {"reason": "不同意使用人脸识别"}),
    Row("POST /v1/me/face-route", "ok"),
    Row("GET /v1/roll-calls", "ok"),
    Row("GET /v1/roll-calls/{roll_call_id}", "ok"),
    Row("POST /v1/roll-calls/{roll_call_id}/challenges", "ok", {"cannot": ["close_eyes"]}),
    Row(
        "POST /v1/roll-calls/{roll_call_id}/envelopes",
        "422",
        {"envelope": "eyJhbGciOiJFUzI1NiJ9.eyJub25jZSI6Ii4uLiJ9.c2lnbmF0dXJl"},
        note="with invalid content",
    ),
    Row(
        "PUT /v1/submissions/{submission_id}/frames/{position}",
        "ok",
        path={"position": "0"},
        content=Computed(_frame),
        media="image/jpeg",
    ),
    Row("GET /v1/roll-calls/{roll_call_id}/attempts", "ok"),
    Row("GET /v1/submissions/{submission_id}", "ok"),
    Row("POST /v1/me/half-year-registrations", "403", note="of a full-time student"),
    Row("GET /v1/notices", "ok"),
    Row("POST /v1/notices/{notice_id}/read", "ok"),
    Row("GET /v1/me/push-subscription", "ok"),
    Row(
        "PUT /v1/me/push-subscription",
        "409",
        {"endpoint": "https://fcm.googleapis.com/a", "keys": {"p256dh": "BA", "auth": "AA"}},
        note="without a key of the deployment",
    ),
    Row("DELETE /v1/me/push-subscription", "ok"),
    Row("GET /v1/leave-requests", "ok"),
    Row(
        "POST /v1/leave-requests",
        "ok",
        Computed(
            lambda scenario: (
                {"kind": "personal", "reason": "家中有事"}
                | dict.fromkeys(("first_day", "last_day"), _tomorrow(scenario))
            )
        ),
    ),
    Row("GET /v1/leave-requests/{leave_id}", "ok", path={"leave_id": IdOf("own_leave")}),
    Row("POST /v1/leave-requests/{leave_id}/cancellation", "ok", {}, path={"leave_id": IdOf("own_leave")}),
    Row("POST /v1/leave-requests/{leave_id}/return", "ok", path={"leave_id": IdOf("own_begun_leave")}),
    Row("GET /v1/me/leave-days", "ok"),
)

UNAUTHENTICATED_STAFF_ROUTES = {
    "POST /v1/sessions",
    "POST /v1/sessions/refresh",
    "POST /v1/browser-sessions",
    "POST /v1/browser-sessions/refresh",
    "POST /v1/browser-sessions/passkey",
    "POST /v1/passkey-challenges",
    "DELETE /v1/browser-sessions/current",
    "POST /v1/activations",
    "POST /v1/activations/confirmation",
    "POST /v1/callbacks/sms-reports/{token}",
}
"""Routes of the staff API without a bearer token; the request itself contains the proof."""

UNAUTHENTICATED_MOBILE_ROUTES = {
    "POST /v1/registrations",
    "POST /v1/registrations/{registration_id}/confirmation",
    "GET /v1/registrations/{registration_id}",
    "POST /v1/registrations/{registration_id}/face",
    "POST /v1/rebinding-objections",
    "POST /v1/token",
}
"""Routes of the mobile API that require a DPoP proof and no token."""

STAFF = STAFF + tuple(row for module in CASE_MODULES for row in module.STAFF)
MOBILE = MOBILE + tuple(row for module in CASE_MODULES for row in module.MOBILE)
ROWS = {"staff": STAFF, "mobile": MOBILE}


def _today(scenario: TenancyScenario) -> str:
    return scenario.clock().date().isoformat()


def _tomorrow(scenario: TenancyScenario) -> str:
    """Return the next legal day, so that the leave never overlaps with today's."""
    return (legal_day(scenario.clock()) + timedelta(days=1)).isoformat()
