"""Old import path of `student_queries`."""

from backend.roll_call.student_queries import (
    OwnRollCall,
    SubmissionView,
    own_roll_call,
    own_roll_calls,
    own_submission,
    own_submissions,
    own_version,
    refusals_of,
    same_submission,
)

__all__ = [
    "OwnRollCall",
    "SubmissionView",
    "own_roll_call",
    "own_roll_calls",
    "own_submission",
    "own_submissions",
    "own_version",
    "refusals_of",
    "same_submission",
]
