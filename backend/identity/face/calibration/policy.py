"""Policy of learned thresholds as the types of the face library."""

from backend.core.app_context import AppContext
from backend.identity.face.calibration.rules import AgeGroup
from backend.policy import PolicyAt
from backend.policy.errors import AbsentLaw
from biometrics.engines.base import EngineKey
from biometrics.matching.decision import FaceThresholds, Method, ThresholdsInvalid
from biometrics.matching.learned_thresholds import LearningRules

_PREFIX = "verification.face.thresholds"
FIXED = "fixed"
TEST_ENGINE = "test-pattern"
"""The only engine that may have fixed thresholds; production refuses it (`check_production_settings`)."""


def learning_rules(policy: PolicyAt, *, minimum: int) -> LearningRules:
    """The figures of the rule."""
    return LearningRules(
        minimum=minimum,
        fmr=policy.ratio(f"{_PREFIX}.fmr"),
        refuse_fmr=policy.ratio(f"{_PREFIX}.refuse_fmr"),
        refuse_quantile=policy.ratio(f"{_PREFIX}.refuse_quantile"),
        tail=policy.ratio(f"{_PREFIX}.tail"),
        confidence=policy.ratio(f"{_PREFIX}.confidence"),
    )


def minimum_people(policy: PolicyAt, app_context: AppContext) -> int:
    """People of a group from whom a threshold is learned; a demonstration has fewer."""
    kind = "demonstration_minimum" if app_context.settings.face_demonstration else "minimum"
    return policy.integer(f"{_PREFIX}.{kind}")


def growth(policy: PolicyAt) -> float:
    """The growth after which thresholds are learned again."""
    return policy.ratio(f"{_PREFIX}.growth")


def sample_per_school(policy: PolicyAt) -> int:
    """People of a school from whom thresholds are learned, at most."""
    return policy.integer(f"{_PREFIX}.sample")


def age_groups(policy: PolicyAt) -> tuple[AgeGroup, ...]:
    """The age groups, youngest first."""
    rows = policy.table(f"{_PREFIX}.age_groups")
    return tuple(AgeGroup(int(str(row["from"])), str(row["name"])) for row in rows)


def fixed_thresholds(policy: PolicyAt, engine: EngineKey, method: Method) -> FaceThresholds | None:
    """The fixed thresholds of the test engine; None for engines whose thresholds are learned.

    Raises `ThresholdsInvalid` if policy gives fixed thresholds to an engine for photographs, or for another version.
    """
    try:
        source = policy.text(f"verification.face.{engine.id}.thresholds")
    except AbsentLaw:
        return None
    if source != FIXED or engine.id != TEST_ENGINE:
        raise ThresholdsInvalid(reason=f"{engine.id} must learn its thresholds")
    measured_on = policy.text(f"verification.face.{engine.id}.version")
    if measured_on != engine.version:
        raise ThresholdsInvalid(reason=f"for {engine.id}/{measured_on}, not for {engine}")
    prefix = f"verification.face.{engine.id}.{method}"
    return FaceThresholds(
        accept_from=policy.number(f"{prefix}.accept_from"),
        reject_below=policy.number(f"{prefix}.reject_below"),
        method=method,
    )
