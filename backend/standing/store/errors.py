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


class DifferenceReviewed(DomainError):
    """A person has already recorded what was found about the difference."""

    code = "difference_reviewed"
    status = 409
    zh = "已有人查看并写明该差异的情况。请刷新列表查看。"
    en = "A person has already recorded what was found about this difference; reload the list to read it."
