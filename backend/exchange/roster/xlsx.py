"""A workbook read as a stream: never more in memory than one row and the shared strings.

Readers that build the sheet hold gigabytes at 200,000 rows of 73 columns (`bench/roster.py` has the figures),
and give a number only after rounding it, when what matters here is whether an ID number was rounded before.
A worksheet is XML in a zip archive (ECMA-376 part 1, 18.3), and the roster needs its cell values only.
"""

import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import IO, NoReturn
from xml.parsers import expat

from backend.exchange.roster.cells import Numeric, RawRow, column_index
from backend.exchange.roster.errors import RosterDamaged, RosterHasMacros, RosterTooLarge

MAX_ENTRIES = 1_000
MAX_UNPACKED_BYTES = 4 * 2**30
"""All entries together. 200,000 rows of 73 filled columns unpack to 0.7 GB."""
MAX_SHARED_STRINGS_BYTES = 256 * 2**20
"""The one part that must be held in memory; 200,000 rows of the template need 43 MB."""
MAX_PART_BYTES = 4 * 2**20
"""Workbook description and relations: small in any honest file."""
MAX_CELL_CHARACTERS = 32_767
"""Excel's own limit."""
CHUNK = 64 * 1024

EPOCH_1900 = date(1899, 12, 30)
EPOCH_1904 = date(1904, 1, 1)

Progress = Callable[[int, int], None]
"""Told how many bytes of the file's content are read, and how many there are."""


@dataclass(frozen=True, slots=True)
class SheetEntry:
    """A visible worksheet and the archive entry that holds it."""

    name: str
    entry: str


class _Scanner:
    """An expat parser that refuses document types (and with them entity bombs) and over-long cell texts."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.buffer_size = MAX_CELL_CHARACTERS
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.text: list[str] = []
        self._length = 0

    @staticmethod
    def _refuse(*_: object) -> NoReturn:
        raise RosterDamaged(where="DOCTYPE")

    def listen(self) -> None:
        self.parser.CharacterDataHandler = self._take

    def ignore(self) -> None:
        self.parser.CharacterDataHandler = None

    def forget(self) -> None:
        self.text.clear()
        self._length = 0

    def _take(self, data: str) -> None:
        self._length += len(data)
        if self._length > MAX_CELL_CHARACTERS:
            raise RosterTooLarge(what_zh="单元格超过32767字", what_en="a cell beyond 32,767 characters")
        self.text.append(data)

    def feed(self, stream: IO[bytes]) -> Iterator[int]:
        """Parse the stream chunk by chunk, yielding the number of bytes taken after each."""
        try:
            while chunk := stream.read(CHUNK):
                self.parser.Parse(chunk, False)
                yield len(chunk)
            self.parser.Parse(b"", True)
        except (expat.ExpatError, zipfile.BadZipFile, zlib.error, EOFError, ValueError) as damage:
            raise RosterDamaged(where=type(damage).__name__) from damage
        yield 0


class Workbook:
    """An `.xlsx` file opened for streaming; refuses what could exhaust memory or carries macros."""

    def __init__(self, path: Path) -> None:
        try:
            self._archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as damage:
            raise RosterDamaged(where=path.name) from damage
        try:
            self._judge_archive()
            self._epoch, self.sheets = self._read_description()
            self._shared = self._read_shared_strings()
        except BaseException:
            self._archive.close()
            raise

    @property
    def epoch(self) -> date:
        """Day zero of the workbook's serial dates."""
        return self._epoch

    @property
    def content_bytes(self) -> int:
        """What reading every sheet to the end will take, in bytes of XML."""
        return sum(self._archive.getinfo(sheet.entry).file_size for sheet in self.sheets)

    def close(self) -> None:
        self._archive.close()

    def _judge_archive(self) -> None:
        entries = self._archive.infolist()
        if len(entries) > MAX_ENTRIES:
            raise RosterTooLarge(what_zh="压缩包内文件过多", what_en="too many archive entries")
        # The declared size is a promise that zipfile holds an entry to: it never inflates past it.
        if sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
            raise RosterTooLarge(what_zh="解压后过大", what_en="too large once unpacked")
        names = [entry.filename.lower() for entry in entries]
        if any(name.endswith("vbaproject.bin") or "/macrosheets/" in name for name in names):
            raise RosterHasMacros

    def _open(self, entry: str, limit: int) -> IO[bytes]:
        try:
            if self._archive.getinfo(entry).file_size > limit:
                raise RosterTooLarge(what_zh=f"{entry}过大", what_en=f"{entry} is too large")
            return self._archive.open(entry)
        except (KeyError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as damage:
            raise RosterDamaged(where=entry) from damage

    def _elements(self, entry: str) -> list[tuple[str, dict[str, str]]]:
        """Every element of a small part, in order: its name without prefix, and its attributes likewise."""
        found: list[tuple[str, dict[str, str]]] = []
        scanner = _Scanner()

        def start(name: str, attributes: dict[str, str]) -> None:
            bare = {key.rpartition(":")[2]: value for key, value in attributes.items()}
            found.append((name.rpartition(":")[2], bare))

        scanner.parser.StartElementHandler = start
        with self._open(entry, MAX_PART_BYTES) as stream:
            for _ in scanner.feed(stream):
                pass
        return found

    def _targets(self) -> dict[str, str]:
        """Relation ids of the workbook → archive entries."""
        return {
            relation.get("Id", ""): _resolved(relation.get("Target", ""))
            for name, relation in self._elements("xl/_rels/workbook.xml.rels")
            if name == "Relationship"
        }

    def _read_description(self) -> tuple[date, tuple[SheetEntry, ...]]:
        targets = self._targets()
        present = set(self._archive.namelist())
        epoch, sheets = EPOCH_1900, []
        for name, attributes in self._elements("xl/workbook.xml"):
            if name == "workbookPr" and attributes.get("date1904") in {"1", "true"}:
                epoch = EPOCH_1904
            if name == "sheet" and attributes.get("state", "visible") == "visible":
                entry = targets.get(attributes.get("id", ""), "")
                if entry not in present:
                    raise RosterDamaged(where=attributes.get("name", "sheet"))
                sheets.append(SheetEntry(attributes.get("name", entry), entry))
        return epoch, tuple(sheets)

    def _read_shared_strings(self) -> list[str]:
        """The table of strings that cells point into; a workbook of inline strings has none."""
        if "xl/sharedStrings.xml" not in self._archive.namelist():
            return []
        collector = _StringCollector()
        with self._open("xl/sharedStrings.xml", MAX_SHARED_STRINGS_BYTES) as stream:
            for _ in collector.scanner.feed(stream):
                pass
        return collector.strings

    def rows(self, sheet: SheetEntry, advanced: Callable[[int], None]) -> Iterator[RawRow]:
        """The rows of a sheet that have any content, as they are unpacked; `advanced` is told the bytes."""
        collector = _RowCollector(self._shared)
        with self._open(sheet.entry, MAX_UNPACKED_BYTES) as stream:
            for taken in collector.scanner.feed(stream):
                yield from collector.done
                collector.done.clear()
                advanced(taken)


class _StringCollector:
    """Turns the parser's events into the table of shared strings, without phonetic guides (`rPh`)."""

    def __init__(self) -> None:
        self.strings: list[str] = []
        self.scanner = _Scanner()
        self._prefix = ""
        self._phonetic = False
        self.scanner.parser.StartElementHandler = self._start
        self.scanner.parser.EndElementHandler = self._end

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        name = name.removeprefix(self._prefix)
        if name == "si":
            self.scanner.forget()
        elif name == "t" and not self._phonetic:
            self.scanner.listen()
        elif name == "rPh":
            self._phonetic = True
        elif name.endswith(":sst"):
            self._prefix = name.removesuffix("sst")

    def _end(self, name: str) -> None:
        name = name.removeprefix(self._prefix)
        if name == "t":
            self.scanner.ignore()
        elif name == "si":
            self.strings.append("".join(self.scanner.text))
        elif name == "rPh":
            self._phonetic = False


class _RowCollector:
    """Turns the parser's events into rows. The hot loop of the reader: fourteen million cells a large file."""

    def __init__(self, shared: list[str]) -> None:
        self.done: list[RawRow] = []
        self.scanner = _Scanner()
        self._shared = shared
        self._prefix = ""
        self._number = 0
        self._cells: dict[int, str] = {}
        self._column = -1
        self._kind: str | None = None
        self.scanner.parser.StartElementHandler = self._start
        self.scanner.parser.EndElementHandler = self._end

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._prefix:
            name = name.removeprefix(self._prefix)
        if name == "c":
            reference = attributes.get("r")
            self._column = column_index(reference.rstrip("0123456789")) if reference else self._column + 1
            self._kind = attributes.get("t")
            self.scanner.forget()
        elif name in {"v", "t"}:
            self.scanner.listen()
        elif name == "row":
            self._number = int(attributes.get("r") or self._number + 1)
            self._cells = {}
            self._column = -1
        elif name.endswith(":worksheet"):
            self._prefix = name.removesuffix("worksheet")

    def _end(self, name: str) -> None:
        if self._prefix:
            name = name.removeprefix(self._prefix)
        if name in {"v", "t"}:
            self.scanner.ignore()
        elif name == "c":
            if self.scanner.text and (value := self._value("".join(self.scanner.text))):
                self._cells[self._column] = value
        elif name == "row" and self._cells:
            self.done.append(RawRow(self._number, self._cells))

    def _value(self, text: str) -> str:
        if self._kind == "s":
            try:
                return self._shared[int(text)]
            except (ValueError, IndexError) as damage:
                raise RosterDamaged(where="sharedStrings") from damage
        return Numeric(text) if self._kind in {None, "n"} else text


def _resolved(target: str) -> str:
    """The archive entry that a relation of the workbook points to."""
    return target.removeprefix("/") if target.startswith("/") else str(PurePosixPath("xl") / target)
