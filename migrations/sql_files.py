"""The functions of the database, one `.sql` file each: `definer/` for the schema `definer`, `sql/` for the others."""

import re
from pathlib import Path

from alembic import op

from migrations.row_level_security import APP_ROLE

MIGRATIONS = Path(__file__).parent
DEFINER_FILE = re.compile(r"(?P<function>[a-z_]+)(\.v(?P<version>[0-9]+))?\.sql")


def create_definer_functions(*names: str, callable_by_app: bool = True) -> None:
    """Create functions from `definer/<name>.sql`; only the owner and, by default, the application may execute them.

    A name is that of a function, or `<function>.v<number>` for a later version of it.
    """
    for name in names:
        function = name.partition(".")[0]
        _execute(MIGRATIONS / "definer" / f"{name}.sql")
        op.execute(f"REVOKE ALL ON FUNCTION definer.{function} FROM PUBLIC")
        if callable_by_app:
            op.execute(f"GRANT EXECUTE ON FUNCTION definer.{function} TO {APP_ROLE}")


def run_sql_file(name: str) -> None:
    """Execute the statements of `sql/<name>`."""
    _execute(MIGRATIONS / "sql" / name)


def newest_definer_files() -> dict[str, Path]:
    """The file with the newest version of each function in the schema `definer`, by the function's name."""
    files: dict[str, tuple[int, Path]] = {}
    for path in (MIGRATIONS / "definer").glob("*.sql"):
        parts = DEFINER_FILE.fullmatch(path.name)
        if parts is None:
            raise ValueError(f"{path} is not named <function>.sql or <function>.v<number>.sql")
        function, version = parts["function"], int(parts["version"] or 1)
        files[function] = max(files.get(function, (0, path)), (version, path))
    return {function: path for function, (_, path) in files.items()}


def _execute(path: Path) -> None:
    # By the driver itself: SQLAlchemy would take a colon in a comment for a bind parameter.
    op.get_bind().connection.cursor().execute(path.read_text(encoding="utf-8"))
