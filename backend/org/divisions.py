"""Administrative divisions (GB/T 2260), and which one the education bureau of each reports to. No input or output."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from backend.core.errors import BadInput, NotFound
from backend.policy import Policy
from backend.policy.schema import NATIONAL, DivisionLevel

CODE_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Division:
    """A division with its own education bureau; `reports_to` is the code of the division above it."""

    code: str
    zh: str
    level: DivisionLevel
    reports_to: str


def check_division_code(text: str) -> str:
    """Return the code if it is six ASCII digits of a province or a lower division, else raise `BadInput`."""
    if len(text) != CODE_DIGITS or not (text.isascii() and text.isdigit()) or text.startswith("00"):
        raise BadInput(
            field="division",
            reason_zh="行政区划代码应为六位数字",
            reason_en="a division code must have six digits",
        )
    return text


class Divisions:
    """The divisions listed in the policy files, by code."""

    def __init__(self, divisions: tuple[Division, ...]) -> None:
        self._by_code = {division.code: division for division in divisions}

    @classmethod
    def of(cls, policy: Policy) -> Self:
        """Create it from the loaded policy files."""
        return cls(tuple(Division(row.code, row.zh, row.level, row.reports_to) for row in policy.divisions))

    def get(self, code: str) -> Division:
        """Return the listed division. Raises `BadInput` for a malformed code, `NotFound` for an unlisted one."""
        try:
            return self._by_code[check_division_code(code)]
        except KeyError as error:
            raise NotFound from error

    def superior_of(self, code: str) -> Division | None:
        """Return the division above it, or None for a province.

        A city and a directly administered county report to the province, any other county to the city with its first
        four digits. Raises `NotFound` for a code of another province.
        """
        listed = self._by_code.get(check_division_code(code))
        above = listed.reports_to if listed else f"{code[:4]}00"
        return None if above == NATIONAL else self.get(above)

    def below(self, code: str) -> tuple[Division, ...]:
        """Return the listed divisions that report to this one, ordered by code."""
        superior = self.get(code)
        return self._sort_by_code(each for each in self._by_code.values() if each.reports_to == superior.code)

    def at_level(self, level: DivisionLevel) -> tuple[Division, ...]:
        """Return the listed divisions of a level, ordered by code."""
        return self._sort_by_code(each for each in self._by_code.values() if each.level is level)

    @staticmethod
    def _sort_by_code(divisions: Iterable[Division]) -> tuple[Division, ...]:
        return tuple(sorted(divisions, key=lambda division: division.code))
