"""Reads the law of qualifications from the policy."""

from backend.policy import PolicyAt
from backend.registration.schools.rules import MeasureKind, QualificationLaw


def qualification_law(policy: PolicyAt) -> QualificationLaw:
    """The law in force. Raises `AbsentLaw`."""
    return QualificationLaw(
        measures=tuple(MeasureKind(each) for each in policy.texts("school.inspection.measures")),
        requires_qualification=policy.text("school.intake.qualification") == "required",
        last_spring_month=policy.integer("school.inspection.term_starts_by"),
    )
