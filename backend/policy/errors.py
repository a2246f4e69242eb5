"""What can be wrong with the law as data: a file that does not hold together, or law that is not there."""

from backend.core.errors import DomainError


class AbsentLaw(DomainError):
    """No figure is in force for this parameter, day and place; deciding without one would be inventing law."""

    code = "absent_law"
    status = 409
    zh = "没有可适用的规定：参数“{parameter}”（条款 {clause}）在 {day}、地区 {place} 没有有效值。请管理员补充政策文件后重试。"
    en = (
        "No law applies: parameter “{parameter}” (clause {clause}) has no value in force on {day} at place {place}. "
        "Ask an administrator to add it to the policy files, then try again."
    )


class PolicyInvalid(DomainError):
    """A policy file breaks the rules of the schema; nothing of the directory is used until it is mended."""

    code = "policy_invalid"
    status = 500
    zh = "政策文件 {file} 无法使用：{problem}。请修正后重新启动。"
    en = "The policy file {file} cannot be used: {problem}. Mend it and start again."


class WrongKind(TypeError):
    """The code asked a parameter for another kind of value than the law states: a fault of the code."""
