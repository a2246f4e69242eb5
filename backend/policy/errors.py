"""Errors of the policy: an invalid file, or a parameter without a value in force."""

from backend.core.errors import DomainError


class AbsentLaw(DomainError):
    """The parameter has no value in force on this day at this place. A default would be invented law."""

    code = "absent_law"
    status = 409
    zh = "没有可适用的规定：参数“{parameter}”（条款 {clause}）在 {day}、地区 {place} 没有有效值。请管理员补充政策文件后重试。"
    en = (
        "No law applies: parameter “{parameter}” (clause {clause}) has no value in force on {day} at place {place}. "
        "Ask an administrator to add it to the policy files, then try again."
    )


class PolicyInvalid(DomainError):
    """A policy file violates the schema. No file of the directory is used until it is corrected."""

    code = "policy_invalid"
    status = 500
    zh = "政策文件 {file} 无法使用：{problem}。请修正后重新启动。"
    en = "The policy file {file} cannot be used: {problem}. Correct it and start again."


class WrongKind(TypeError):
    """The caller used the getter of another kind than the parameter has: a programming error."""
