"""Authentication of requests: one or two signature checks, and one round trip to the database."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from backend.core import jws
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import legal_day
from backend.identity import unscoped_queries
from backend.identity.errors import (
    AccountIsDisabled,
    KeyRevoked,
    PhoneReplaced,
    PhoneTokenMissing,
    ProofInvalid,
    ProofReplayed,
    SessionRevoked,
    TokenMissing,
)
from backend.identity.sign_in.access_tokens import PhoneTokenVerifier, read_session_id
from backend.identity.sign_in.dpop import ExpectedRequest, Proof, Signer, check_proof, read_signer
from backend.policy.installed import policy_at


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """The parts of a request that authentication reads: method, path, and two headers."""

    method: str
    path: str
    authorization: str | None
    dpop: str | None


@dataclass(frozen=True, slots=True)
class VerifiedProof:
    """A proof that was verified and marked as used, and the owner of its key."""

    proof: Proof
    state: unscoped_queries.ProofState

    def require_student(self) -> Actor:
        """The key's student; raises `KeyRevoked` or `AccountIsDisabled` unless both key and account are active."""
        if self.state.actor is None or not self.state.key_active:
            raise PhoneReplaced if self.state.key_replaced else KeyRevoked
        if not self.state.account_active:
            raise AccountIsDisabled
        return self.state.actor


async def authenticate_key(app_context: AppContext, request: HttpRequest) -> VerifiedProof:
    """Verify the proof of a request that has no token yet; raises `ProofInvalid` or `ProofReplayed`."""
    at = app_context.clock()
    return await _consume_proof(app_context, _check_proof(app_context, request, None, at), at)


async def authenticate_phone(app_context: AppContext, request: HttpRequest) -> Actor:
    """The student making the request. Token, proof, key and account must all be valid (RFC 9449, 7)."""
    at = app_context.clock()
    proof = verify_phone_request(app_context, request, at)
    return (await _consume_proof(app_context, proof, at)).require_student()


def verify_phone_request(app_context: AppContext, request: HttpRequest, at: datetime) -> Proof:
    """Verify token and proof without the database. The caller still has to mark the proof as used."""
    token = phone_token(request)
    phone_token_claims = app_context.service(phone_token_verifier).read(token, at)
    proof = _check_proof(app_context, request, token, at)
    if not hmac.compare_digest(proof.jkt, phone_token_claims.jkt):
        raise ProofInvalid(reason="cnf")
    return proof


@dataclass(frozen=True, slots=True)
class DocumentSigner:
    """The phone that signed a document of its request. Its claims are not checked yet."""

    signer: Signer
    request: ExpectedRequest

    def prove(self, claims: Mapping[str, Any]) -> Proof:
        """The proof that the document contains; raises `ProofInvalid` unless its claims are for this request."""
        return self.signer.prove(claims, self.request)


def verify_document_signer(
    app_context: AppContext, request: HttpRequest, document: jws.Jws, at: datetime
) -> DocumentSigner:
    """Verify the token, and the signature of a document that carries its own proof, without the database.

    The caller still has to check the document's claims and to mark the proof as used.
    """
    token = phone_token(request)
    phone_token_claims = app_context.service(phone_token_verifier).read(token, at)
    signer = read_signer(document)
    if not hmac.compare_digest(signer.jkt, phone_token_claims.jkt):
        raise ProofInvalid(reason="cnf")
    signer.verify(document)
    return DocumentSigner(signer, _expected_request(app_context, request, token, at))


def phone_token(request: HttpRequest) -> str:
    """The access token in a phone's request; raises `PhoneTokenMissing`."""
    token = _parse_credential(request.authorization, "dpop")
    if token is None:
        raise PhoneTokenMissing
    return token


def phone_token_verifier(app_context: AppContext) -> PhoneTokenVerifier:
    """The verifier of phone tokens, one per process."""
    return PhoneTokenVerifier(app_context.keys)


def _check_proof(app_context: AppContext, request: HttpRequest, token: str | None, at: datetime) -> Proof:
    return check_proof(request.dpop or "", _expected_request(app_context, request, token, at))


def _expected_request(
    app_context: AppContext, request: HttpRequest, token: str | None, at: datetime
) -> ExpectedRequest:
    public_url, *other_urls = app_context.settings.accepted_urls
    return ExpectedRequest(
        method=request.method,
        url=public_url + request.path,
        other_urls=tuple(url + request.path for url in other_urls),
        at=at,
        max_age=_proof_age(legal_day(at), app_context.settings.province_code),
        access_token=token,
    )


@lru_cache(maxsize=16)  # the policy of a day does not change while a process lives
def _proof_age(day: date, place: str) -> timedelta:
    return policy_at(day, place).duration("identity.proof.max_age")


async def _consume_proof(app_context: AppContext, proof: Proof, at: datetime) -> VerifiedProof:
    state = await unscoped_queries.consume_proof(app_context.database, proof, at)
    if not state.fresh:
        raise ProofReplayed
    return VerifiedProof(proof, state)


async def authenticate_staff(
    app_context: AppContext, authorization: str | None
) -> unscoped_queries.SessionState:
    """The session of `Authorization: Bearer …`; raises a 401 unless it is valid now."""
    token = _parse_credential(authorization, "bearer")
    if token is None:
        raise TokenMissing
    at = app_context.clock()
    session = await unscoped_queries.load_session(
        app_context.database, read_session_id(app_context.keys, token, at)
    )
    if session is None or not session.is_valid(at):
        raise SessionRevoked
    return session


def _parse_credential(authorization: str | None, scheme: str) -> str | None:
    kind, _, value = (authorization or "").partition(" ")
    value = value.strip()
    return value if kind.lower() == scheme and value else None
