"""The divisions of a province by GB/T 2260 and whom their education bureaus report to. Pure."""

from dataclasses import dataclass
from typing import Self

from backend.core.errors import BadInput, NotFound
from backend.policy import Policy
from backend.policy.schema import NATIONAL, DivisionLevel

CODE_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Division:
    """A division with a bureau of its own; `reports_to` is the code of the division above."""

    code: str
    zh: str
    level: DivisionLevel
    reports_to: str


def check_division_code(text: str) -> str:
    """The code itself if it is six ASCII digits naming a province or lower; raises `BadInput`."""
    if len(text) != CODE_DIGITS or not (text.isascii() and text.isdigit()) or text.startswith("00"):
        raise BadInput(
            field="division", reason_zh="行政区划代码应为六位数字", reason_en="a division code has six digits"
        )
    return text


class Divisions:
    """The filed divisions, by code."""

    def __init__(self, divisions: tuple[Division, ...]) -> None:
        self._by_code = {division.code: division for division in divisions}

    @classmethod
    def of(cls, policy: Policy) -> Self:
        """The divisions of the loaded policies."""
        return cls(tuple(Division(row.code, row.zh, row.level, row.reports_to) for row in policy.divisions))

    def get(self, code: str) -> Division:
        """The filed division of the code; raises `BadInput` for a malformed code and `NotFound` otherwise."""
        try:
            return self._by_code[check_division_code(code)]
        except KeyError as error:
            raise NotFound from error

    def superior_of(self, code: str) -> Division | None:
        """The division above: the province for a city and for a directly administered county, the city of its
        first four digits for any other county, None above the province. Raises `NotFound` for foreign codes.
        """
        filed = self._by_code.get(check_division_code(code))
        above = filed.reports_to if filed else f"{code[:4]}00"
        return None if above == NATIONAL else self.get(above)

    def below(self, code: str) -> tuple[Division, ...]:
        """The filed divisions that report to the code, in the order of their codes."""
        found = [
            division for division in self._by_code.values() if division.reports_to == self.get(code).code
        ]
        return tuple(sorted(found, key=lambda division: division.code))

    def at_level(self, level: DivisionLevel) -> tuple[Division, ...]:
        """All filed divisions of a level, in the order of their codes."""
        found = [division for division in self._by_code.values() if division.level is level]
        return tuple(sorted(found, key=lambda division: division.code))
