"""Errors in a file of law cases. Each names the file, the case and the key."""

from dataclasses import dataclass
from typing import Any, NoReturn

from backend.core.errors import DomainError


class CaseMalformed(DomainError):
    """A case is malformed. The subclass and its stable `code` say in which way."""

    code = "case_malformed"
    status = 422
    zh = "{file}，案例“{case}”，键 {key}：{problem_zh}"
    en = "{file}, case “{case}”, key {key}: {problem_en}"

    def sentence(self, language: str) -> str:
        """The sentence; facts of a request have no file to name."""
        if self.params["file"]:
            return super().sentence(language)
        zh, en = (f"{self.params[f'problem_{each}']}" for each in ("zh", "en"))
        return f"事实无法使用：{zh}。" if language.startswith("zh") else f"The facts cannot be used: {en}."

    @property
    def fields(self) -> list[dict[str, Any]]:
        """The field of a request at fault, as a problem document lists it."""
        return [
            {
                "field": f"body.{self.params['key']}",
                "code": self.code,
                "message_zh": self.params["problem_zh"],
                "message_en": self.params["problem_en"],
            }
        ]

    @property
    def place(self) -> dict[str, str]:
        """The file, case and key at fault."""
        return {name: str(self.params[name]) for name in ("file", "case", "key")}


class CaseFileUnreadable(CaseMalformed):
    """The file does not exist, is not UTF-8, is not YAML, or repeats a key."""

    code = "case_file_unreadable"


class CaseKeyUnknown(CaseMalformed):
    """The format has no such key. Typing errors are never ignored."""

    code = "case_key_unknown"


class CaseKeyMissing(CaseMalformed):
    """A required key is missing."""

    code = "case_key_missing"


class CaseValueBad(CaseMalformed):
    """A value of the wrong form: a date without time, a number instead of text, an unknown word."""

    code = "case_value_bad"


class CaseReferenceUnknown(CaseMalformed):
    """A fact refers to a roll call, prompt, change, decision or parameter that does not exist."""

    code = "case_reference_unknown"


@dataclass(frozen=True, slots=True)
class Source:
    """The file and case of a fact, for error messages."""

    file: str
    case: str

    def fault(self, kind: type[CaseMalformed], key: str, zh: str, en: str) -> NoReturn:
        raise kind(file=self.file, case=self.case, key=key, problem_zh=zh, problem_en=en)

    def unknown(self, key: str, name: object) -> NoReturn:
        self.fault(CaseReferenceUnknown, key, f"没有“{name}”", f"there is no “{name}”")
