"""What can be wrong with a file of law cases; each names the file, the case and the key."""

from dataclasses import dataclass
from typing import NoReturn

from backend.core.errors import DomainError


class CaseMalformed(DomainError):
    """A case cannot be read as one. `code` on the instance says in which way; it is stable."""

    code = "case_malformed"
    status = 422
    zh = "{file}，案例“{case}”，键 {key}：{problem_zh}"
    en = "{file}, case “{case}”, key {key}: {problem_en}"

    @property
    def place(self) -> dict[str, str]:
        """The file, case and key at fault."""
        return {name: str(self.params[name]) for name in ("file", "case", "key")}


class CaseFileUnreadable(CaseMalformed):
    """The file is not there, is no UTF-8, is no YAML, or repeats a key."""

    code = "case_file_unreadable"


class CaseKeyUnknown(CaseMalformed):
    """A key that the format does not have: a slip of the pen is never ignored."""

    code = "case_key_unknown"


class CaseKeyMissing(CaseMalformed):
    """A key that the format needs."""

    code = "case_key_missing"


class CaseValueBad(CaseMalformed):
    """A value of the wrong shape: a date without its time, a number for a text, an unknown word."""

    code = "case_value_bad"


class CaseReferenceUnknown(CaseMalformed):
    """A fact speaks of a roll call, prompt, change, decision or parameter that there is not."""

    code = "case_reference_unknown"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a case was written, to name a fault."""

    file: str
    case: str

    def fault(self, kind: type[CaseMalformed], key: str, zh: str, en: str) -> NoReturn:
        raise kind(file=self.file, case=self.case, key=key, problem_zh=zh, problem_en=en)

    def unknown(self, key: str, name: object) -> NoReturn:
        self.fault(CaseReferenceUnknown, key, f"没有“{name}”", f"there is no “{name}”")
