"""DPoP proofs (RFC 9449) and thumbprints (RFC 7638), pure."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.demo.phone import Phone
from backend.identity.errors import ProofClockWrong, ProofInvalid
from backend.identity.sign_in.dpop import ExpectedRequest, base64url, check_proof, public_jwk, thumbprint
from tests.support.roll_call.student_phone import OFFLINE

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
URL = "http://testserver/v1/me"


def phone() -> Phone:
    return Phone(OFFLINE, clock=NOW.timestamp)


def expected_request(token: str | None = None, at: datetime = NOW) -> ExpectedRequest:
    return ExpectedRequest("GET", URL, at, timedelta(seconds=60), token)


def sign_proof(phone: Phone, header: dict[str, Any] | None = None, **claims: Any) -> str:
    body = {"jti": "1", "htm": "GET", "htu": URL, "iat": NOW.timestamp()} | claims
    head = {"typ": "dpop+jwt", "jwk": phone.jwk} | (header or {})
    return jwt.encode(
        {k: v for k, v in body.items() if v is not None}, phone.key, algorithm="ES256", headers=head
    )


def refusal(token: str, request: ExpectedRequest) -> ProofInvalid:
    with pytest.raises(ProofInvalid) as refused:
        check_proof(token, request)
    return refused.value


def reason(token: str, request: ExpectedRequest) -> str:
    """The reason of `proof_invalid`, or the more specific code."""
    error = refusal(token, request)
    return str(error.params["reason"]) if error.code == "proof_invalid" else error.code


def test_the_thumbprint_matches_rfc_7638() -> None:
    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }
    assert thumbprint(public_jwk(jwk)) == "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"


def test_a_proof_for_this_request_is_accepted_and_identifies_its_key() -> None:
    own = phone()
    proof = check_proof(own.proof("GET", "/v1/me", "a-token"), expected_request("a-token"))
    assert (proof.jkt, proof.jwk) == (own.thumbprint, public_jwk(own.jwk))


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"htm": "POST"}, "htm"),
        ({"htu": "http://testserver/v1/you"}, "proof_htu_wrong"),
        ({"htu": "http://elsewhere/v1/me"}, "proof_htu_wrong"),
        ({"htu": "https://testserver/v1/me"}, "proof_htu_wrong"),
        ({"htu": "http://[oops"}, "proof_htu_wrong"),
        ({"htu": None}, "proof_htu_wrong"),
        ({"jti": ""}, "jti"),
        ({"jti": "x" * 129}, "jti"),
        ({"jti": "a\0b"}, "jti"),
        ({"jti": None}, "jti"),
        ({"iat": None}, "iat"),
        ({"iat": True}, "iat"),
        ({"iat": float("nan")}, "iat"),
        ({"iat": NOW.timestamp() - 61}, "proof_clock_wrong"),
        ({"iat": NOW.timestamp() + 61}, "proof_clock_wrong"),
        ({"iat": 10**400}, "proof_clock_wrong"),
    ],
)
def test_a_proof_for_another_request_is_refused(claims: dict[str, Any], expected: str) -> None:
    assert reason(sign_proof(phone(), **claims), expected_request()) == expected


def test_a_wrong_clock_is_told_the_time_of_the_server() -> None:
    error = refusal(sign_proof(phone(), iat=NOW.timestamp() - 300), expected_request())
    assert isinstance(error, ProofClockWrong)
    assert error.extensions == {"server_time": "2026-03-02T08:00:00.000Z"}
    assert "2026-03-02T08:00:00.000Z" in error.sentence("zh")


def test_a_wrong_htu_is_told_the_right_one() -> None:
    error = refusal(sign_proof(phone(), htu="http://localhost/v1/me"), expected_request())
    assert error.params == {"expected": URL}


def test_another_address_of_the_same_endpoint_is_accepted() -> None:
    twin = replace(expected_request(), other_urls=("http://localhost/v1/me",))
    assert check_proof(sign_proof(phone(), htu="http://localhost/v1/me"), twin).jti == "1"
    assert reason(sign_proof(phone(), htu="http://localhost/v1/you"), twin) == "proof_htu_wrong"


def test_query_and_fragment_of_the_uri_are_ignored() -> None:
    assert check_proof(sign_proof(phone(), htu=URL + "?page=2#top"), expected_request()).jti == "1"


@pytest.mark.parametrize("ath", [None, "", base64url(b"\0" * 32)])
def test_a_proof_must_be_for_the_same_access_token(ath: str | None) -> None:
    assert reason(sign_proof(phone(), ath=ath), expected_request("a-token")) == "proof_ath_wrong"


def test_a_proof_must_be_signed_by_the_key_it_contains() -> None:
    thief, owner = phone(), phone()
    assert reason(sign_proof(thief, {"jwk": owner.jwk}), expected_request()) == "proof_signature_wrong"


def test_a_malformed_proof_is_refused() -> None:
    own = phone()
    numbers = own.key.private_numbers()
    private = own.jwk | {"d": base64url(numbers.private_value.to_bytes(32, "big"))}
    off_curve = own.jwk | {"y": own.jwk["x"]}
    for header in (
        {"typ": "jwt"},
        {"jwk": private},
        {"jwk": own.jwk | {"crv": "P-384"}},
        {"jwk": off_curve},
        {"jwk": "text"},
        {"jwk": None},
    ):
        assert reason(sign_proof(own, header), expected_request()) in {"typ", "jwk"}
    unsigned = jwt.encode({"jti": "1"}, "", algorithm="none", headers={"typ": "dpop+jwt", "jwk": own.jwk})
    for token in ("", "a.b.c", "x" * 5000, unsigned):
        assert reason(token, expected_request()) in {"missing", "form", "typ"}


def test_non_canonical_coordinates_are_refused() -> None:
    own = phone()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(own.jwk["x"][-1])
    twin = own.jwk["x"][:-1] + alphabet[last ^ 1]
    for other in (twin, own.jwk["x"] + "=", " " + own.jwk["x"], own.jwk["x"] + "\n"):
        with pytest.raises(ProofInvalid):
            public_jwk(own.jwk | {"x": other})


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.dictionaries(st.text(), inner)
    )
)
def test_any_malformed_jwk_is_refused_without_a_crash(candidate: Any) -> None:
    with pytest.raises(ProofInvalid):
        public_jwk(candidate)


@given(st.text(max_size=200))
def test_any_malformed_proof_is_refused_without_a_crash(token: str) -> None:
    with pytest.raises(ProofInvalid):
        check_proof(token, expected_request())
