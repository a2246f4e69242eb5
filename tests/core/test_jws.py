"""Compact JWS with ES256: read as any library reads it, and refused in every other form."""

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


def part(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def test_what_is_signed_here_is_read_by_a_library_and_the_other_way_round() -> None:
    ours = jws.sign({"kid": "1", "typ": "x"}, CLAIMS, KEY)
    assert jwt.decode(ours, KEY.public_key(), algorithms=["ES256"]) == CLAIMS
    taken = jws.take_apart(jwt.encode(CLAIMS, KEY, algorithm="ES256"))
    taken.verify(KEY.public_key())
    assert json.loads(taken.payload) == CLAIMS


def test_another_keys_signature_is_wrong() -> None:
    with pytest.raises(jws.SignatureWrong):
        jws.take_apart(jws.sign({}, CLAIMS, OTHER)).verify(KEY.public_key())


@pytest.mark.parametrize("signature", [b"", b"\0" * 63, b"\0" * 64, b"\xff" * 64, b"\0" * 65])
def test_a_signature_of_no_use_is_wrong(signature: bytes) -> None:
    taken = jws.Jws({}, b"", b"signed", signature)
    with pytest.raises(jws.SignatureWrong):
        taken.verify(KEY.public_key())


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
def test_no_other_algorithm_and_no_critical_extension_is_understood(header: Any) -> None:
    with pytest.raises(jws.NotCompact):
        jws.take_apart(f"{part(header)}.{part(CLAIMS)}.{part('s')}")


def _spellings() -> list[str]:
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
def test_one_spelling_is_read_and_no_other(number: int) -> None:
    with pytest.raises((jws.NotCompact, jws.SignatureWrong)):
        jws.take_apart(_spellings()[number]).verify(KEY.public_key())


@given(st.text(max_size=200))
def test_any_text_at_all_is_refused(text: str) -> None:
    with pytest.raises(jws.NotCompact):
        jws.take_apart(text)


def test_a_point_that_is_not_on_the_curve_is_no_key() -> None:
    with pytest.raises(ValueError, match=r"."):
        jws.public_key(b"\1" * 32, b"\2" * 32)
