"""Errors of saving an assessment."""

from backend.core.errors import DomainError


class EnrolledElsewhere(DomainError):
    """A person is on one active roll only (reading 23), so an ended record cannot be restored while another one is active."""

    code = "enrolled_elsewhere"
    status = 409
    zh = "该生现在另一所学校在籍，本校学籍不能恢复。请先由另一所学校办理转出，再恢复或转入。"
    en = (
        "The student is on another school's roll now, so this record cannot be restored. The other school must first"
        " transfer the student out."
    )
