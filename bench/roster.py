"""Benchmark of reading a large roster: rows per second and peak memory, compared with plain iteration of the file.

    python -m bench.roster [--rows 200000] [--shared] [--school CODE]

The baseline iterates the cells with the same reader and validates nothing. `calamine` is a popular library that builds
the sheet in memory, for comparison. Each measurement runs in its own process, so that peak memory is separate.
`--shared` also measures a workbook with shared strings, as Excel and WPS save them; writing it takes several gigabytes
of memory. `--school` is the code of a school without students in the database of the `DIANMING_*` settings: the CSV is
read and imported into it twice.
"""

import argparse
import asyncio
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from pathlib import Path

import python_calamine
import xlsxwriter

from backend.core.app_context import open_app_context
from backend.core.tenancy import Scope
from backend.exchange.roster.csv_reader import read_csv_rows
from backend.exchange.roster.generator import generate_students, plan_school
from backend.exchange.roster.importer import RosterImport, import_roster_as_system
from backend.exchange.roster.reader import read_roster
from backend.exchange.roster.rows import RosterRow
from backend.exchange.roster.template import load_order, load_template
from backend.exchange.roster.validation import ValidatedRoster, validate_roster
from backend.exchange.roster.writer import Record, write_roster
from backend.exchange.roster.xlsx_reader import Workbook
from backend.org.queries import get_unit_by_code
from backend.settings import get_settings

RESULTS = Path(__file__).parent / "results"
VARIANT = "national"
TODAY = date(2026, 11, 21)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement. CPU seconds vary less than elapsed seconds on a shared machine.

    `peak_mb` is the peak resident set of the process, with interpreter and libraries.
    """

    file: str
    reader: str
    rows: int
    seconds: float
    cpu_seconds: float
    rows_per_second: int
    peak_mb: int


def _generate_records(count: int) -> Iterator[Record]:
    plan = plan_school("4141000001", "示例职业学校（虚构）", students=count)
    # Every optional column is filled, the worst case for the reader.
    filler = {column.name: "无" for column in load_template().columns if column.field is None}
    return ({**filler, **student} for student in generate_students(1, [plan]))


def write_inline(path: Path, rows: int) -> None:
    write_roster(path, _generate_records(rows), variant=VARIANT, form="xlsx")


def write_shared(path: Path, rows: int) -> None:
    headers = load_order(VARIANT)
    with closing(xlsxwriter.Workbook(str(path))) as workbook:
        sheet = workbook.add_worksheet("学生信息")
        sheet.write_row(0, 0, headers)
        for number, student in enumerate(_generate_records(rows), start=1):
            for index, header in enumerate(headers):
                sheet.write_string(number, index, student.get(header, ""))


def write_csv(path: Path, rows: int) -> None:
    write_roster(path, _generate_records(rows), variant=VARIANT, form="csv-gb18030")


def iterate_xlsx(path: Path) -> int:
    with closing(Workbook(path)) as workbook:
        return sum(1 for _ in workbook.rows(workbook.sheets[0], lambda _: None)) - 1


def iterate_csv(path: Path) -> int:
    return sum(1 for _ in read_csv_rows(path, lambda _: None)) - 1


def iterate_calamine(path: Path) -> int:
    return (
        sum(1 for _ in python_calamine.CalamineWorkbook.from_path(path).get_sheet_by_index(0).iter_rows()) - 1
    )


def read_and_validate(path: Path) -> int:
    return sum(isinstance(item, RosterRow) for item in read_roster(path, today=TODAY))


def validate_and_import(school_code: str, path: Path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        roster = validate_roster(path, Path(folder) / "rows", today=TODAY)
        return asyncio.run(_import_students(roster, school_code))


async def _import_students(roster: ValidatedRoster, school_code: str) -> int:
    app_context = open_app_context(get_settings())
    try:
        async with app_context.database.transaction(Scope.none()) as session:
            school = await get_unit_by_code(session, "school", school_code)
        async with app_context.database.transaction(Scope.school(school.id, school.path)) as session:
            command = RosterImport(school, roster.rows(), roster.sha256)
            report = await import_roster_as_system(session, command, app_context.keys, app_context.clock())
    finally:
        await app_context.close()
    return report.rows


def _measure(
    read: Callable[[Path], int], path: Path, results: "multiprocessing.Queue[tuple[int, float, float, int]]"
) -> None:
    started = time.perf_counter()
    rows = read(path)
    elapsed = time.perf_counter() - started
    results.put(
        (rows, elapsed, time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    )


def _measure_in_process(read: Callable[[Path], int], path: Path, name: str) -> Measurement:
    spawn = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[tuple[int, float, float, int]] = spawn.Queue()
    child = spawn.Process(target=_measure, args=(read, path, results))
    child.start()
    rows, elapsed, cpu, peak = results.get()
    child.join()
    reading = Measurement(
        path.name, name, rows, round(elapsed, 2), round(cpu, 2), round(rows / elapsed), peak
    )
    print(
        f"{reading.file:16}{reading.reader:18}{rows:>9,}{elapsed:>9.1f} s{cpu:>9.1f} s cpu{reading.rows_per_second:>11,}/s{peak:>8,} MB"
    )
    return reading


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--shared", action="store_true")
    parser.add_argument("--school")
    options = parser.parse_args()
    readers = {
        "inline.xlsx": (write_inline, (iterate_xlsx, read_and_validate, iterate_calamine)),
        "shared.xlsx": (write_shared, (iterate_xlsx, read_and_validate, iterate_calamine)),
        "gb18030.csv": (write_csv, (iterate_csv, read_and_validate)),
    }
    readings = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (write, reads) in readers.items():
            if name == "shared.xlsx" and not options.shared:
                continue
            path = Path(folder) / name
            writer = multiprocessing.get_context("spawn").Process(target=write, args=(path, options.rows))
            writer.start()
            writer.join()
            readings += [_measure_in_process(read, path, read.__name__) for read in reads]
        if options.school:
            importing = partial(validate_and_import, options.school)
            readings += [
                _measure_in_process(importing, path, name) for name in ("import_new", "import_again")
            ]
    RESULTS.mkdir(exist_ok=True)
    report = {
        "columns": len(load_order(VARIANT)),
        "python": sys.version.split()[0],
        "readings": [asdict(reading) for reading in readings],
    }
    (RESULTS / "roster.json").write_text(
        json.dumps(report, ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
