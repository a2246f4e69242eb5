"""Records what the clients observed, in order: one JSON object per line, as in Jepsen.

`invoke`: a request is sent. Then `ok`: it was acknowledged; `fail`: it was rejected and had no effect; or `unknown`: there
is no response, or one that does not tell. `note`: an action of the harness itself, such as a fault or a clock change.
"""

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["invoke", "ok", "fail", "unknown", "note"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. `who` is a client or the nemesis; `value` is the content of the request or response."""

    number: int
    seconds: float
    clock: float
    who: str
    kind: Kind
    act: str
    value: dict[str, Any]

    def line(self) -> str:
        plain = {
            name: getattr(self, name)
            for name in ("number", "seconds", "clock", "who", "kind", "act", "value")
        }
        return json.dumps(plain, ensure_ascii=False)


@dataclass(slots=True)
class History:
    """The entries, in memory and in a file."""

    path: Path
    clock: Callable[[], float]
    entries: list[Entry] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)

    def add(self, who: str, kind: Kind, act: str, **value: Any) -> Entry:
        entry = Entry(
            len(self.entries), round(time.monotonic() - self._began, 3), self.clock(), who, kind, act, value
        )
        self.entries.append(entry)
        with self.path.open("a") as file:
            file.write(entry.line() + "\n")
        return entry

    def find(self, act: str, *kinds: Kind) -> list[Entry]:
        return [each for each in self.entries if each.act == act and (not kinds or each.kind in kinds)]

    def counts(self) -> Counter[str]:
        """Return the number of responses by act and kind."""
        return Counter(
            f"{each.act}:{each.kind}" for each in self.entries if each.kind not in {"invoke", "note"}
        )

    def lines_about(self, who: str, about: set[str]) -> list[str]:
        """Return the lines of one client that mention one of `about`, with the faults between the first and the last of them."""
        mine = [
            each for each in self.entries if each.who == who and about & set(map(str, each.value.values()))
        ]
        if not mine:
            return []
        between = [
            each
            for each in self.entries
            if each.kind == "note" and mine[0].number <= each.number <= mine[-1].number
        ]
        return [each.line() for each in sorted([*mine, *between], key=lambda each: each.number)]
