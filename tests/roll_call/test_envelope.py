"""The envelope parser: any input is opened or refused with a code, and never raises anything else."""

import base64
import json
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import example, given
from hypothesis import strategies as st

from backend.core.jws import signed_digest
from backend.demo.phone import Phone
from backend.roll_call.envelope import TYPE, OpenedEnvelope, open_envelope, parse_stored_envelope
from backend.roll_call.errors import CheckInRefusal, EnvelopeMalformed, EnvelopeSignatureInvalid
from tests.support.roll_call.student_phone import OFFLINE, make_envelope_content, make_fixes

PHONE = Phone(OFFLINE)
KEY = PHONE.key.public_key()
ROLL_CALL = uuid4()
NONCE = "n" * 32

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("roll_call", "nonce", "fixes", "frames", "claims", "extra\0", "\ud800")


def payload(**changes: Any) -> dict[str, Any]:
    return make_envelope_content(ROLL_CALL, NONCE, [b"one", b"two", b"three"], **changes)


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def sign_bytes(body: bytes, header: bytes | None = None) -> str:
    """Return a compact JWS over any bytes, with a valid signature."""

    head = header if header is not None else json.dumps({"alg": "ES256", "typ": TYPE}).encode()
    text = f"{base64url(head)}.{base64url(body)}"
    r, s = utils.decode_dss_signature(PHONE.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def open_or_refusal(compact: str) -> OpenedEnvelope | CheckInRefusal:
    try:
        return open_envelope(compact, KEY)
    except CheckInRefusal as refusal:
        return refusal


def refusal_of(compact: str) -> CheckInRefusal:
    with pytest.raises(CheckInRefusal) as refused:
        open_envelope(compact, KEY)
    return refused.value


def test_signed_envelope_is_opened() -> None:
    compact = PHONE.sign(payload(), typ=TYPE)
    opened = open_envelope(compact, KEY)
    assert (opened.content.roll_call, opened.content.nonce) == (ROLL_CALL, NONCE)
    assert opened.content == parse_stored_envelope(compact)


def test_signing_the_same_content_again_gives_the_same_digest() -> None:
    one, other = (PHONE.sign(payload(), typ=TYPE) for _ in range(2))
    assert one != other
    assert signed_digest(one) == signed_digest(other)


def test_client_claims_set_no_field() -> None:
    opened = open_envelope(PHONE.sign(payload(claims={"liveness": 1, "inside": True}), typ=TYPE), KEY)
    assert opened.content.claims == {"liveness": 1, "inside": True}


@pytest.mark.parametrize("field", ["roll_call", "nonce", "fixes", "frames"])
def test_missing_field_is_named(field: str) -> None:
    plain = payload()
    del plain[field]
    refusal = refusal_of(PHONE.sign(plain, typ=TYPE))
    assert isinstance(refusal, EnvelopeMalformed)
    assert refusal.params == {"reason": field}


def test_missing_datum_is_refused_by_name() -> None:
    fixes = make_fixes()
    del fixes[1]["datum"]
    refusal = refusal_of(PHONE.sign(payload(fixes=fixes), typ=TYPE))
    assert (refusal.code, refusal.params) == ("envelope_malformed", {"reason": "fixes.1.datum"})


@pytest.mark.parametrize("field", ["lon", "lat", "accuracy_m", "age_s"])
@pytest.mark.parametrize("missing", [True, False])
def test_value_that_the_phone_could_not_measure_gets_advice(field: str, missing: bool) -> None:
    fixes = [fix | {field: None} for fix in make_fixes()]
    for fix in fixes:
        if missing:
            del fix[field]
    refusal = refusal_of(PHONE.sign(payload(fixes=fixes), typ=TYPE))
    assert (refusal.code, refusal.params) == ("fix_incomplete", {"field": f"fixes.0.{field}"})
    assert "精确位置" in refusal.sentence("zh")
    assert "update the app" not in refusal.sentence("en")


def test_fault_of_the_app_is_named_before_a_missing_position() -> None:
    refusal = refusal_of(PHONE.sign(payload(fixes=make_fixes(accuracy_m=None), nonce="short"), typ=TYPE))
    assert refusal.code == "envelope_malformed"


@pytest.mark.parametrize(
    "changes",
    [
        {"outcome": "present"},
        {"nonce": "short"},
        {"nonce": "n" * 30 + "\0"},
        {"nonce": "n" * 30 + "\ud800"},
        {"roll_call": "no identifier"},
        {"fixes": "many"},
        {"fixes": [{"lon": 1.0, "lat": 1.0, "accuracy_m": 1.0, "age_s": True}]},
        {"fixes": [{"lon": 1.0, "lat": 1.0, "accuracy_m": 1.0, "age_s": 1.0, "datum": "ip"}]},
        {"fixes": [{"lon": 1.0, "lat": 1.0, "accuracy_m": 1.0, "age_s": 1.0}] * 101},
        {"frames": [{"sha256": "ABC", "size": 1, "at_ms": 0}]},
        {"frames": [{"sha256": "0" * 64, "size": -1, "at_ms": 0}]},
        {"frames": [{"sha256": "0" * 64, "size": 1, "at_ms": 10**400}]},
        {"claims": {str(number): 0 for number in range(41)}},
        {"\0": 1},
    ],
)
def test_value_out_of_bounds_is_malformed(changes: dict[str, Any]) -> None:
    refusal = refusal_of(PHONE.sign(payload(**changes), typ=TYPE))
    assert isinstance(refusal, EnvelopeMalformed)


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (None, b"[" * 9000),
        (b"[" * 9000, b"{}"),
        (b'{"alg":"ES256","typ":"JWT"}', b"{}"),
        (b'{"alg":"none"}', b"{}"),
        (b"\xff", b"{}"),
        (None, b"\xff\xfe"),
        (None, b"9" * 5000),
        (None, b"null"),
        (None, b""),
    ],
)
def test_bytes_that_are_not_an_envelope_are_malformed(header: bytes | None, body: bytes) -> None:
    assert isinstance(refusal_of(sign_bytes(body, header)), EnvelopeMalformed)


def test_signature_of_another_phone_is_refused() -> None:
    stranger = Phone(OFFLINE)
    assert isinstance(refusal_of(stranger.sign(payload(), typ=TYPE)), EnvelopeSignatureInvalid)


def test_changed_content_is_refused() -> None:
    head, _, signature = PHONE.sign(payload(), typ=TYPE).split(".")
    forged = f"{head}.{base64url(json.dumps(payload(claims={'liveness': 2})).encode())}.{signature}"
    assert isinstance(refusal_of(forged), EnvelopeSignatureInvalid)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", str(10**400)])
def test_nan_and_infinity_are_parsed_for_the_location_library(number: str) -> None:
    body = json.dumps(payload()).replace("10.0", number).encode()
    opened = open_envelope(sign_bytes(body), KEY)
    assert opened.content.fixes[0].accuracy_m != 10.0


@given(st.sampled_from(FIELDS), json_values)
@example("claims", {"\0": 1})
def test_any_value_in_any_field_is_opened_or_refused(field: str, value: Any) -> None:
    body = json.dumps(payload(**{field: value})).encode()
    answer = open_or_refusal(sign_bytes(body))
    if isinstance(answer, CheckInRefusal):
        assert "\0" not in str(answer.params)


@given(st.binary(max_size=300))
def test_random_bytes_with_a_valid_signature_are_refused(body: bytes) -> None:
    assert isinstance(open_or_refusal(sign_bytes(body)), EnvelopeMalformed)


@given(st.text(max_size=200))
def test_random_text_is_refused(compact: str) -> None:
    assert isinstance(open_or_refusal(compact), CheckInRefusal)
    assert len(signed_digest(compact)) == 32
