"""PostgreSQL's ltree as a column type: the path of a unit in the tree, root first, joined by dots."""

from sqlalchemy.types import UserDefinedType


class Ltree(UserDefinedType[str]):
    """Text on our side, ltree in the database."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The name of the type in DDL."""
        return "LTREE"
