"""Wire schemas of the positions of check-ins."""

import json
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, Field

from backend.roll_call.positions.queries import CheckInPositions, JudgedOutline, PositionFix
from backend.roll_call.positions.viewing import ShownPositions
from geo.datum import Datum
from geo.fence import Decision


class PositionFixOut(BaseModel):
    """A fix as the phone reported it, converted to WGS-84."""

    lon: float = Field(examples=[113.53124])
    lat: float = Field(examples=[34.82016])
    accuracy_m: float = Field(
        description="95% 误差圆的半径（米） · radius of the 95 % circle in metres", examples=[18.0]
    )
    datum: Datum = Field(description="手机所用坐标系 · the datum in which the phone sent it")
    taken_at: datetime = Field(
        description="收到签到的时间减去手机报告的时长 · receipt of the check-in less the age that the phone gave"
    )

    @classmethod
    def of(cls, fix: PositionFix) -> Self:
        """Build the response for a fix."""
        return cls(
            lon=fix.lon, lat=fix.lat, accuracy_m=fix.accuracy_m, datum=fix.datum, taken_at=fix.taken_at
        )


class JudgedPositionOut(BaseModel):
    """How verification judged the fixes against the filed outlines."""

    place: Decision = Field(description="判定的位置 · inside, outside, or uncertain")
    distance_m: float = Field(
        description="距范围边界（米），负数为在内 · metres to the outline, negative inside", examples=[421.5]
    )
    probability_inside: float = Field(examples=[0.000012])
    accuracy_m: float = Field(
        description="合并后的误差（米） · accuracy of the combined fixes", examples=[12.1]
    )

    @classmethod
    def of(cls, fence: dict[str, Any]) -> Self:
        """Build the response for the part of a trace that `fence_trace` writes."""
        return cls(
            place=Decision(fence["decision"]),
            distance_m=fence["distance_m"],
            probability_inside=fence["probability_inside"],
            accuracy_m=fence["accuracy_m"],
        )


class CheckInPositionsOut(BaseModel):
    """A check-in with its fixes. `judged` is null without a verdict about the position."""

    submission_id: UUID
    received_at: datetime
    deleted_at: datetime | None = Field(
        description="定位点按保存期限删除的时间 · when the fixes were deleted by retention"
    )
    fixes: list[PositionFixOut]
    judged: JudgedPositionOut | None

    @classmethod
    def of(cls, check_in: CheckInPositions) -> Self:
        """Build the response for a check-in."""
        return cls(
            submission_id=check_in.submission_id,
            received_at=check_in.received_at,
            deleted_at=check_in.deleted_at,
            fixes=[PositionFixOut.of(fix) for fix in check_in.fixes],
            judged=None if check_in.fence is None else JudgedPositionOut.of(check_in.fence),
        )


class JudgedOutlineOut(BaseModel):
    """A filed version of a site that the roll call was judged by, in WGS-84."""

    site_id: UUID
    site_name: str = Field(examples=["主校区"])
    version: int = Field(examples=[2])
    geojson: dict[str, Any]

    @classmethod
    def of(cls, outline: JudgedOutline) -> Self:
        """Build the response for an outline."""
        return cls(
            site_id=outline.site_id,
            site_name=outline.site_name,
            version=outline.version,
            geojson=json.loads(outline.geojson),
        )


class ShownPositionsOut(BaseModel):
    """The positions of a student's check-ins in a roll call. The look is recorded for the student to read."""

    roll_call_id: UUID
    roll_call_title: str = Field(examples=["学籍核验"])
    outlines: list[JudgedOutlineOut]
    check_ins: list[CheckInPositionsOut]

    @classmethod
    def of(cls, shown: ShownPositions) -> Self:
        """Build the response for the positions."""
        return cls(
            roll_call_id=shown.roll_call.id,
            roll_call_title=shown.roll_call.title,
            outlines=[JudgedOutlineOut.of(each) for each in shown.outlines],
            check_ins=[CheckInPositionsOut.of(each) for each in shown.check_ins],
        )
