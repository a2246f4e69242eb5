"""Reasons for refusing a picture, as they are stored and shown to the student."""

from typing import Any

from backend.core.errors import DomainError
from biometrics.errors import BiometricsError
from biometrics.pictures.quality import Reason


def refusal_reason(refusal: BiometricsError | DomainError) -> Reason:
    """An error as a reason for the student."""
    return Reason(refusal.code, refusal.sentence("zh"), refusal.sentence("en"))


def reason_json(reason: Reason, shot: int | None) -> dict[str, Any]:
    """A reason as JSON; `shot` counts from 0 and is None for a reason about all shots together."""
    return {"shot": shot, "code": reason.code, "zh": reason.zh, "en": reason.en}
