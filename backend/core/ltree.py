"""PostgreSQL's ltree as a column type: the path of a unit in the tree, from the root, separated by dots."""

from sqlalchemy.types import UserDefinedType


class Ltree(UserDefinedType[str]):
    """A str in Python, an ltree in the database."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The type name in DDL."""
        return "LTREE"
