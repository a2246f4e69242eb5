"""Authentication of a guardian's request: the token of the link, checked at every request in one round trip.

The actor is the student's, so that every service gives the guardian the student's own view and no more. Its account id
is the guardian's id on the roster, because guardians have no account; `Actor.guardian` names the link.
"""

import math
from dataclasses import dataclass
from datetime import datetime

from backend.core.actor import ActingGuardian, Actor
from backend.core.app_context import AppContext
from backend.core.clock import legal_day
from backend.guardian.errors import (
    SCHEME,
    GuardianLinkExpired,
    GuardianLinkInvalid,
    GuardianLinkMissing,
    GuardianLinkRevoked,
    GuardianOfAdult,
    TooManyLinkRequests,
)
from backend.guardian.policy import GuardianPolicy
from backend.guardian.rules import find_link_objection, may_act
from backend.guardian.unscoped_queries import OpenedLink, open_link
from backend.identity.policy import province_policy
from backend.identity.sign_in.secrets import hash_secret

MAX_TOKEN_LENGTH = 100


@dataclass(frozen=True, slots=True)
class GuardianAccess:
    """An authenticated guardian: who it is, until when the link serves, and whether it may act for the student."""

    actor: Actor
    name: str
    relation: str | None
    expires_at: datetime
    may_act: bool
    acts_below: int

    def require_may_act(self) -> None:
        """Raises `GuardianOfAdult` if the student is of age."""
        if not self.may_act:
            raise GuardianOfAdult(age=self.acts_below)


async def authenticate_guardian(app_context: AppContext, authorization: str | None) -> GuardianAccess:
    """The guardian of a header `Authorization: Guardian <token>`. Raises the 401s of the package, and
    `TooManyLinkRequests`.
    """
    at = app_context.clock()
    limit = province_policy(app_context, at).integer("guardian.link.requests")
    link = await open_link(app_context.database, hash_secret(_read_token(authorization)), at, limit)
    if link is None:
        raise GuardianLinkInvalid
    if link.requests > limit:
        raise TooManyLinkRequests(wait_s=max(1, math.ceil((link.minute_ends - at).total_seconds())))
    law = GuardianPolicy.on(legal_day(at), link.school_path)
    match find_link_objection(link.facts, law.notice_texts, at):
        case "revoked":
            raise GuardianLinkRevoked
        case "expired":
            raise GuardianLinkExpired
    return GuardianAccess(
        actor=_actor(link),
        name=link.guardian_name,
        relation=link.relation,
        expires_at=link.facts.expires_at,
        may_act=may_act(link.birth_date, legal_day(at), law.acts_below),
        acts_below=law.acts_below,
    )


def _read_token(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != SCHEME.lower() or not token:
        raise GuardianLinkMissing
    if len(token) > MAX_TOKEN_LENGTH:
        raise GuardianLinkInvalid
    return token


def _actor(link: OpenedLink) -> Actor:
    return Actor(
        account_id=link.guardian_id,
        role="student",
        org_id=link.school_id,
        org_path=link.school_path,
        school_id=link.school_id,
        student_id=link.student_id,
        guardian=ActingGuardian(link.guardian_id, link.link_id),
    )
