"""Errors about the rows of a list of counselors to invite."""

from backend.core.errors import DomainError


class ClassNameUnknown(DomainError):
    """No class of the school has this name."""

    code = "class_name_unknown"
    status = 422
    zh = "本校没有名为“{name}”的班级。请按花名册中的班级名称填写，或留空后在“班级与辅导员”中分配。"
    en = "No class of your school is called “{name}”. Write the name as in the roster, or leave it empty and assign it later."


class ClassHasCounselor(DomainError):
    """The class has a counselor, whom a list does not replace."""

    code = "class_has_counselor"
    status = 409
    zh = "“{name}”已有辅导员，名单不会替换。请留空，如需更换请在“班级与辅导员”中办理。"
    en = "“{name}” has a counselor, whom a list does not replace. Leave it empty; change the counselor on the page of classes."
