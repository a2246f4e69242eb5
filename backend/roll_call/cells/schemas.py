"""Wire schemas of the cells of a site."""

from typing import Self

from pydantic import BaseModel, Field

from backend.roll_call.cells.queries import SiteCells


class CheckInCellOut(BaseModel):
    """A cell of 50 m, in degrees (WGS-84), with the accepted check-ins that fell into it."""

    west: float = Field(examples=[113.5311])
    south: float = Field(examples=[34.8201])
    east: float = Field(examples=[113.5316])
    north: float = Field(examples=[34.8206])
    check_ins: int = Field(description="通过的签到 · accepted check-ins", examples=[320])
    roll_calls: int = Field(description="点名次数 · roll calls", examples=[4])


class CheckInCellsOut(BaseModel):
    """Where the accepted check-ins of a term fell. Cells with fewer students in a roll call than `minimum` are left out."""

    term_code: str | None = Field(
        description="null 表示没有统计 · null: nothing was counted", examples=["2026-autumn"]
    )
    terms: list[str] = Field(description="有统计的学期 · terms with counts", examples=[["2026-autumn"]])
    minimum: int = Field(description="少于此数不显示 · fewer students are not shown", examples=[10])
    cells: list[CheckInCellOut]

    @classmethod
    def of(cls, found: SiteCells) -> Self:
        """Build the response for the cells of a site."""
        return cls(
            term_code=found.term_code,
            terms=list(found.terms),
            minimum=found.minimum,
            cells=[
                CheckInCellOut(
                    west=each.bounds.west,
                    south=each.bounds.south,
                    east=each.bounds.east,
                    north=each.bounds.north,
                    check_ins=each.check_ins,
                    roll_calls=each.roll_calls,
                )
                for each in found.cells
            ],
        )
