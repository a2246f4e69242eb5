"""Errors about pictures of faces."""

from backend.core.errors import DomainError


class PictureGone(DomainError):
    """The picture was deleted by retention or with a consent."""

    code = "picture_deleted"
    status = 410
    zh = "照片已按保存期限删除，不能查看。"
    en = "The picture was deleted at the end of its retention period."
