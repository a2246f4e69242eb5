"""Versions of learned thresholds: which one is in force, and what a new one contains. All writers are here."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, exists, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.identity.face.calibration.errors import ThresholdNotProposed
from backend.identity.face.calibration.rules import Limits, find_effect
from backend.identity.face.calibration.tables import (
    FaceSchoolThreshold,
    FaceThresholdApproval,
    FaceThresholdVersion,
)
from biometrics.engines.base import EngineKey
from biometrics.matching.decision import FaceThresholds, Method
from biometrics.matching.learned_thresholds import GroupFigures, LearnedThresholds
from biometrics.matching.scoring import ScoringConfig

_WRITER_LOCK = func.hashtextextended("dianming face-threshold", 0)


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What was learned, from which samples, by which policy."""

    engine: EngineKey
    scoring: ScoringConfig
    population_version: int
    learned: LearnedThresholds
    schools: Sequence[UUID]
    """The schools of the samples, by number."""
    minimum: int
    demonstration: bool
    policy_version: str


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version with its approval, if it has one, and whether it is the one in force."""

    version: FaceThresholdVersion
    approval: FaceThresholdApproval | None
    in_force: bool


def limits_of(version: FaceThresholdVersion) -> FaceThresholds:
    """The limits for scores of the version's method."""
    return FaceThresholds(version.accept_from, version.reject_below, Method(version.method))


def _of_engine(engine: EngineKey) -> Select[FaceThresholdVersion]:
    return select(FaceThresholdVersion).where(
        FaceThresholdVersion.engine_id == engine.id, FaceThresholdVersion.engine_version == engine.version
    )


async def load_in_force(session: AsyncSession, engine: EngineKey) -> FaceThresholdVersion | None:
    """The newest version that took effect at once or was approved; None without one."""
    approved = exists().where(FaceThresholdApproval.threshold_id == FaceThresholdVersion.id)
    query = (
        _of_engine(engine)
        .where(or_(FaceThresholdVersion.effect == "at_once", approved))
        .order_by(FaceThresholdVersion.version.desc())
        .limit(1)
    )
    return (await session.scalars(query)).one_or_none()


async def load_newest(session: AsyncSession, engine: EngineKey) -> FaceThresholdVersion | None:
    """The newest version, in force or proposed."""
    query = _of_engine(engine).order_by(FaceThresholdVersion.version.desc()).limit(1)
    return (await session.scalars(query)).one_or_none()


async def store_version(
    session: AsyncSession, new: NewVersion, org_path: str, at: datetime
) -> FaceThresholdVersion:
    """Append a version, in force at once if it is stricter, otherwise proposed; the only writer of versions."""
    await session.execute(select(func.pg_advisory_xact_lock(_WRITER_LOCK)))
    newest, in_force = await load_newest(session, new.engine), await load_in_force(session, new.engine)
    learned = new.learned
    effect, reason = find_effect(
        None
        if in_force is None
        else Limits(Method(in_force.method), in_force.population_version, in_force.accept_from),
        Limits(new.scoring.method, new.population_version, learned.accept_from),
    )
    version = FaceThresholdVersion(
        id=new_id(),
        engine_id=new.engine.id,
        engine_version=new.engine.version,
        version=newest.version + 1 if newest else 1,
        method=new.scoring.method.value,
        population_version=new.population_version,
        accept_from=learned.accept_from,
        reject_below=learned.reject_below,
        people=learned.people,
        probes=learned.probes,
        minimum=new.minimum,
        demonstration=new.demonstration,
        groups=[group_json(each) for each in (*learned.groups, *learned.too_small)],
        policy_version=new.policy_version,
        effect=effect,
        reason=reason,
        learned_at=at,
    )
    session.add(version)
    await session.flush()
    raised = [
        {"threshold_id": version.id, "school_id": new.schools[number], "accept_from": accept_from}
        for number, accept_from in sorted(learned.schools.items())
    ]
    if raised:
        await session.execute(insert(FaceSchoolThreshold), raised)
    after = {
        "version": version.version,
        "accept_from": version.accept_from,
        "reject_below": version.reject_below,
        "effect": effect,
        "reason": reason,
        "schools_raised": len(raised),
    }
    act = audit.Act("FaceThresholdLearned", "face_threshold", str(version.id), org_path, after=after)
    audit.record(session, act, at)
    return version


async def approve_version(
    session: AsyncSession, actor: Actor, threshold_id: UUID, reasons: str, at: datetime
) -> VersionRow:
    """Put a proposed version in force, as a province administrator. Only the newest of its engine can be approved.

    Raises `NotPermitted`, `NotFound` or `ThresholdNotProposed`.
    """
    if actor.role != "province":
        raise NotPermitted(
            reason_zh="仅省级管理员可以批准阈值", reason_en="only the province approves face thresholds"
        )
    await session.execute(select(func.pg_advisory_xact_lock(_WRITER_LOCK)))
    version = await session.get(FaceThresholdVersion, threshold_id)
    if version is None:
        raise NotFound
    newest = await load_newest(session, EngineKey(version.engine_id, version.engine_version))
    if version.effect != "approval" or newest is None or newest.id != version.id:
        raise ThresholdNotProposed
    approval = FaceThresholdApproval(
        threshold_id=version.id, account_id=actor.account_id, reasons=reasons, at=at
    )
    session.add(approval)
    try:
        await session.flush()
    except IntegrityError as error:
        raise ThresholdNotProposed from error
    after = {"version": version.version, "accept_from": version.accept_from, "reasons": reasons}
    act = audit.Act("FaceThresholdApproved", "face_threshold", str(version.id), actor.org_path, after=after)
    audit.record(session, act, at)
    return VersionRow(version, approval, in_force=True)


async def load_versions_page(
    session: AsyncSession, actor: Actor, after: UUID | None, limit: int
) -> list[VersionRow]:
    """Versions, newest first; for the province, bureaus and registrars."""
    if actor.role == "counselor":
        raise NotPermitted(
            reason_zh="辅导员不能查看阈值版本", reason_en="counselors do not see versions of thresholds"
        )
    query = (
        select(FaceThresholdVersion, FaceThresholdApproval)
        .outerjoin(FaceThresholdApproval, FaceThresholdApproval.threshold_id == FaceThresholdVersion.id)
        .order_by(FaceThresholdVersion.id.desc())
        .limit(limit)
    )
    if after is not None:
        query = query.where(FaceThresholdVersion.id < after)
    rows = [(version, approval) for version, approval in await session.execute(query)]
    in_force: set[UUID] = set()
    for engine in {EngineKey(version.engine_id, version.engine_version) for version, _ in rows}:
        current = await load_in_force(session, engine)
        if current is not None:
            in_force.add(current.id)
    return [VersionRow(version, approval, version.id in in_force) for version, approval in rows]


def group_json(figures: GroupFigures) -> dict[str, Any]:
    """The figures of a group as they are stored: numbers of people and scores, nothing about a person."""
    return asdict(figures)
