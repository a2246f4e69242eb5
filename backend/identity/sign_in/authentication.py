"""Who makes a request: one signature check or two, and one round trip to the database."""

import hmac
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import legal_day
from backend.identity import unscoped_queries
from backend.identity.errors import (
    AccountDisabled,
    KeyRevoked,
    PhoneTokenMissing,
    ProofInvalid,
    ProofReplayed,
    SessionRevoked,
    TokenMissing,
)
from backend.identity.sign_in.access_tokens import PhoneTokens, sign_in_of
from backend.identity.sign_in.dpop import Proof, ProvenRequest, check_proof
from backend.policy.installed import policy_at


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
    standing: unscoped_queries.ProofState

    def student(self) -> Actor:
        """The student's account; raises KeyRevoked or AccountDisabled unless both key and account stand."""
        if self.standing.actor is None or not self.standing.key_active:
            raise KeyRevoked
        if not self.standing.account_active:
            raise AccountDisabled
        return self.standing.actor


async def prove(app_context: AppContext, request: HttpRequest) -> Proven:
    """Check and spend the proof of a request that carries no token yet; raises ProofInvalid or ProofReplayed."""
    at = app_context.clock()
    return await _spend(app_context, _checked(app_context, request, None, at), at)


async def authenticate_phone(app_context: AppContext, request: HttpRequest) -> Actor:
    """The student who makes the request: token, proof of its key, key and account all hold (RFC 9449, 7)."""
    at = app_context.clock()
    proof = check_phone(app_context, request, at)
    return (await _spend(app_context, proof, at)).student()


def check_phone(app_context: AppContext, request: HttpRequest, at: datetime) -> Proof:
    """What a request shows by itself: a token of ours and a proof by its key. The proof is still to be spent."""
    token = phone_token(request)
    bound = app_context.service(phone_tokens).read(token, at)
    proof = _checked(app_context, request, token, at)
    if not hmac.compare_digest(proof.jkt, bound.jkt):
        raise ProofInvalid(reason="cnf")
    return proof


def phone_token(request: HttpRequest) -> str:
    """The access token that came with a phone's request; raises PhoneTokenMissing."""
    token = _credential(request.authorization, "dpop")
    if token is None:
        raise PhoneTokenMissing
    return token


def phone_tokens(app_context: AppContext) -> PhoneTokens:
    """The process's verifier of phones' access tokens."""
    return PhoneTokens(app_context.keys)


def _checked(app_context: AppContext, request: HttpRequest, token: str | None, at: datetime) -> Proof:
    return check_proof(
        request.dpop or "",
        ProvenRequest(
            method=request.method,
            url=app_context.settings.public_url.rstrip("/") + request.path,
            at=at,
            max_age=_proof_age(legal_day(at), app_context.settings.province_code),
            access_token=token,
        ),
    )


@lru_cache(maxsize=16)  # the law of a day does not change while a process lives
def _proof_age(day: date, place: str) -> timedelta:
    return policy_at(day, place).duration("identity.proof.max_age")


async def _spend(app_context: AppContext, proof: Proof, at: datetime) -> Proven:
    standing = await unscoped_queries.use_proof(app_context.database, proof, at)
    if not standing.fresh:
        raise ProofReplayed
    return Proven(proof, standing)


async def authenticate_staff(
    app_context: AppContext, authorization: str | None
) -> unscoped_queries.SessionFacts:
    """The sign-in behind `Authorization: Bearer …`; raises a 401 unless it stands right now."""
    token = _credential(authorization, "bearer")
    if token is None:
        raise TokenMissing
    at = app_context.clock()
    facts = await unscoped_queries.session_facts(
        app_context.database, sign_in_of(app_context.keys, token, at)
    )
    if facts is None or not facts.stands(at):
        raise SessionRevoked
    return facts


def _credential(authorization: str | None, scheme: str) -> str | None:
    kind, _, value = (authorization or "").partition(" ")
    value = value.strip()
    return value if kind.lower() == scheme and value else None
