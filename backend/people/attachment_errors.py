"""Errors of attachments."""

from backend.core.errors import DomainError


class AttachmentTypeRefused(DomainError):
    """The file has another type than permitted or declared. The type is detected from its first bytes."""

    code = "attachment_type_refused"
    status = 415
    zh = "附件只能是 JPEG、PNG 图片或 PDF 文件，且内容须与类型一致。请转换后重新上传。"
    en = "An attachment must be a JPEG or PNG picture or a PDF, and match its declared type. Convert it and upload it again."


class AttachmentUnreadable(DomainError):
    code = "attachment_unreadable"
    status = 422
    zh = "PDF 文件已损坏、不完整，或末尾带有多余数据。请重新导出后上传。"
    en = "The PDF is damaged or incomplete, or carries data after its end. Export it again, then upload it."


class AttachmentQuota(DomainError):
    code = "attachment_quota"
    status = 429
    zh = "今天上传的附件已达 {limit} 个。请明天再传，或联系辅导员。"
    en = "You have uploaded {limit} files today; continue tomorrow, or ask the counselor."


class AttachmentUnusable(DomainError):
    """The file is unknown, not the caller's, of another student, incomplete, expired or used: the same answer for all."""

    code = "attachment_unusable"
    status = 422
    zh = "有附件无法使用：可能不存在、非本人上传、已过期或已用于其他事项。请重新上传。"
    en = "An attachment cannot be used: it is unknown, not yours, expired or used elsewhere. Upload it again."


class TooManyAttachments(DomainError):
    code = "too_many_attachments"
    status = 422
    zh = "附件最多 {limit} 个，请删减。"
    en = "At most {limit} attachments are permitted; remove some."
