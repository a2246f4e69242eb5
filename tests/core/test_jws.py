"""Compact JWS with ES256: compatible with PyJWT, and every other form is rejected."""

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from backend.core import jws

KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
CLAIMS = {"name": "李同学", "n": 1}


def encode_part(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def test_jws_is_compatible_with_pyjwt_in_both_directions() -> None:
    compact = jws.sign({"kid": "1", "typ": "x"}, CLAIMS, KEY)
    assert jwt.decode(compact, KEY.public_key(), algorithms=["ES256"]) == CLAIMS
    parsed = jws.parse_jws(jwt.encode(CLAIMS, KEY, algorithm="ES256"))
    parsed.verify(KEY.public_key())
    assert json.loads(parsed.payload) == CLAIMS


def test_signature_of_another_key_is_wrong() -> None:
    with pytest.raises(jws.SignatureWrong):
        jws.parse_jws(jws.sign({}, CLAIMS, OTHER)).verify(KEY.public_key())


@pytest.mark.parametrize("signature", [b"", b"\0" * 63, b"\0" * 64, b"\xff" * 64, b"\0" * 65])
def test_malformed_signature_is_wrong(signature: bytes) -> None:
    parsed = jws.Jws({}, b"", b"signed", signature)
    with pytest.raises(jws.SignatureWrong):
        parsed.verify(KEY.public_key())


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "RS256"},
        {},
        {"alg": ["ES256"]},
        {"alg": "ES256", "crit": ["b64"], "b64": False},
        {"alg": "ES256", "crit": []},
        {"alg": "ES256", "b64": True},
        ["ES256"],
        "ES256",
        None,
    ],
)
def test_other_algorithms_and_critical_extensions_are_rejected(header: Any) -> None:
    with pytest.raises(jws.JwsMalformed):
        jws.parse_jws(f"{encode_part(header)}.{encode_part(CLAIMS)}.{encode_part('s')}")


def other_spellings() -> list[str]:
    head, body, tail = jws.sign({}, CLAIMS, KEY).split(".")
    return [
        f"{head}={'.'}{body}.{tail}",
        f"{head}.{body}.{tail}==",
        f" {head}.{body}.{tail}",
        f"{head}.{body}.{tail}\n",
        f"{head}.{body}\n.{tail}",
        f"{head}.{body}",
        f"{head}.{body}.",
        f"{head}..{tail}",
        f".{body}.{tail}",
        f"{head}.{body}.{tail}.{tail}",
        f"{head}.{body}.{tail[:-2]}+/",
        f"{head}.{body}.{tail[:-1]}",
        f"{head}.{body}é.{tail}",
    ]


@pytest.mark.parametrize("number", range(13))
def test_other_spellings_of_a_valid_jws_are_rejected(number: int) -> None:
    with pytest.raises((jws.JwsMalformed, jws.SignatureWrong)):
        jws.parse_jws(other_spellings()[number]).verify(KEY.public_key())


@given(st.text(max_size=200))
def test_arbitrary_text_is_rejected(text: str) -> None:
    with pytest.raises(jws.JwsMalformed):
        jws.parse_jws(text)


def test_point_off_the_curve_is_no_key() -> None:
    with pytest.raises(ValueError, match=r"."):
        jws.p256_public_key(b"\1" * 32, b"\2" * 32)
