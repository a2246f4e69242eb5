"""Who makes a request: one signature check or two, and one round trip to the database."""

import hmac
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

from backend.core.acting import Acting
from backend.core.clock import legal_day
from backend.core.runtime import Runtime
from backend.identity import door
from backend.identity.access_tokens import PhoneTokens, sign_in_of
from backend.identity.errors import (
    AccountDisabled,
    KeyRevoked,
    PhoneTokenMissing,
    ProofInvalid,
    ProofReplayed,
    SessionRevoked,
    TokenMissing,
)
from backend.identity.law import law_of_day
from backend.identity.proofs import Proof, ProvenRequest, check_proof


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What authentication reads of a request: method, path, and two headers."""

    method: str
    path: str
    authorization: str | None
    dpop: str | None


@dataclass(frozen=True, slots=True)
class Proven:
    """A request whose proof was fresh; `standing` says whom the key speaks for, if anybody."""

    proof: Proof
    standing: door.ProofStanding

    def student(self) -> Acting:
        """The student's account; raises KeyRevoked or AccountDisabled unless both key and account stand."""
        if self.standing.acting is None or not self.standing.key_active:
            raise KeyRevoked
        if not self.standing.account_active:
            raise AccountDisabled
        return self.standing.acting


async def prove(runtime: Runtime, request: HttpRequest) -> Proven:
    """Check and spend the proof of a request that carries no token yet; raises ProofInvalid or ProofReplayed."""
    at = runtime.clock()
    return await _spend(runtime, _checked(runtime, request, None, at), at)


async def authenticate_phone(runtime: Runtime, request: HttpRequest) -> Acting:
    """The student who makes the request: token, proof of its key, key and account all hold (RFC 9449, 7)."""
    at = runtime.clock()
    proof = check_phone(runtime, request, at)
    return (await _spend(runtime, proof, at)).student()


def check_phone(runtime: Runtime, request: HttpRequest, at: datetime) -> Proof:
    """What a request shows by itself: a token of ours and a proof by its key. The proof is still to be spent."""
    token = phone_token(request)
    bound = tokens_of(runtime).read(token, at)
    proof = _checked(runtime, request, token, at)
    if not hmac.compare_digest(proof.jkt, bound.jkt):
        raise ProofInvalid(reason="cnf")
    return proof


def phone_token(request: HttpRequest) -> str:
    """The access token that came with a phone's request; raises PhoneTokenMissing."""
    token = _credential(request.authorization, "dpop")
    if token is None:
        raise PhoneTokenMissing
    return token


def tokens_of(runtime: Runtime) -> PhoneTokens:
    """The process's reader of phones' tokens, made at its first use."""
    tokens: PhoneTokens | None = runtime.extras.get("phone_tokens")
    if tokens is None:
        tokens = runtime.extras["phone_tokens"] = PhoneTokens(runtime.keys)
    return tokens


def _checked(runtime: Runtime, request: HttpRequest, token: str | None, at: datetime) -> Proof:
    return check_proof(
        request.dpop or "",
        ProvenRequest(
            method=request.method,
            url=runtime.settings.public_url.rstrip("/") + request.path,
            at=at,
            max_age=_proof_age(legal_day(at), runtime.settings.province_code),
            access_token=token,
        ),
    )


@lru_cache(maxsize=16)  # the law of a day does not change while a process lives
def _proof_age(day: date, place: str) -> timedelta:
    return law_of_day(day, place).duration("identity.proof.max_age")


async def _spend(runtime: Runtime, proof: Proof, at: datetime) -> Proven:
    standing = await door.use_proof(runtime.database, proof, at)
    if not standing.fresh:
        raise ProofReplayed
    return Proven(proof, standing)


async def authenticate_staff(runtime: Runtime, authorization: str | None) -> door.SessionFacts:
    """The sign-in behind `Authorization: Bearer …`; raises a 401 unless it stands right now."""
    token = _credential(authorization, "bearer")
    if token is None:
        raise TokenMissing
    at = runtime.clock()
    facts = await door.session_facts(runtime.database, sign_in_of(runtime.keys, token, at))
    if facts is None or not facts.stands(at):
        raise SessionRevoked
    return facts


def _credential(authorization: str | None, scheme: str) -> str | None:
    kind, _, value = (authorization or "").partition(" ")
    value = value.strip()
    return value if kind.lower() == scheme and value else None
