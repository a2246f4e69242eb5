"""`dianming geo`: decide positions against a site from the command line, with the rules used for verification."""

import math
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.commands.output import exit_with_error, exit_with_file_error, print_result
from backend.core.clock import legal_day, now
from backend.core.errors import DomainError
from backend.policy import PolicyAt, load_policies
from geo.datum import Datum
from geo.errors import FixMalformed, GeoError
from geo.fence import FenceDecision, FenceReason, FenceThresholds, decide
from geo.location_fixes import Fix
from geo.site_files import site_from_geojson_text

app = typer.Typer(no_args_is_help=True, help="位置与办学地址 · Positions and sites.")

_NUMBERS = 3


@app.callback()
def _geo() -> None:
    """Make `decide` a sub-command although it is the only one."""


@app.command("decide")
def decide_command(
    site: Annotated[Path, typer.Option(help="办学地址范围 · GeoJSON file of the site's polygons")],
    fix: Annotated[
        list[str], typer.Option(help="可重复 · LON,LAT,ACCURACY_METRES[,wgs84|gcj02|bd09], repeatable")
    ],
    site_datum: Annotated[
        str, typer.Option(help="范围文件的坐标系 · datum the site file is drawn in")
    ] = Datum.WGS84,
    day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="适用规定的日期 · legal day, default today"),
    ] = None,
    place: Annotated[
        str, typer.Option(help="适用规定的行政区划 · administrative division whose policy applies")
    ] = "410000",
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """判定定位在校内、校外或不确定 · Inside, outside or uncertain, with metres to the edge (negative inside)."""
    try:
        thresholds = _thresholds(load_policies().at(_legal_day(day), place))
        # The area limit applies when a site is filed; here any site is allowed.
        polygons = site_from_geojson_text(
            _read_file(site, as_json=as_json), datum=Datum.named(site_datum), max_area_m2=math.inf
        )
        decision = decide([_parse_fix(text) for text in fix], polygons, thresholds)
    except (GeoError, DomainError) as error:
        exit_with_error(error.code, f"{error.sentence('zh')} {error.sentence('en')}", as_json=as_json)
    print_result(_payload(decision), as_json=as_json, render=_render)


def _legal_day(day: datetime | None) -> date:
    return day.date() if day else legal_day(now())


def _thresholds(policy: PolicyAt) -> FenceThresholds:
    return FenceThresholds(
        inside_at=policy.ratio("verification.fence.inside_at"),
        outside_at=policy.ratio("verification.fence.outside_at"),
        max_accuracy_m=policy.number("verification.fence.max_accuracy"),
        max_age_s=policy.duration("verification.fence.max_age").total_seconds(),
    )


def _parse_fix(text: str) -> Fix:
    """Parse `LON,LAT,ACCURACY[,DATUM]`. `decide` validates the numbers."""
    parts = text.split(",")
    datum = Datum.named(parts.pop()) if len(parts) > _NUMBERS else Datum.WGS84
    try:
        lon, lat, accuracy_m = map(float, parts)
    except ValueError:
        raise FixMalformed(text=text) from None
    return Fix(lon, lat, accuracy_m, datum)


def _read_file(path: Path, *, as_json: bool) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        exit_with_file_error(error, path, code="site_unreadable", as_json=as_json)


def _payload(decision: FenceDecision) -> dict[str, Any]:
    return {
        "decision": decision.decision.value,
        "distance_m": round(decision.distance_m, 3),
        "probability_inside": round(decision.probability_inside, 9),
        "reasons": [reason.value for reason in decision.reasons],
    }


def _render(payload: dict[str, Any]) -> str:
    side = "inside" if payload["distance_m"] < 0 else "outside"
    where = f"{abs(payload['distance_m']):.1f} m {side} the edge"
    lines = [f"{payload['decision']}: {where}, probability inside {payload['probability_inside']:.4f}"]
    lines += [f"  {reason}: {reason.zh} {reason.en}" for reason in map(FenceReason, payload["reasons"])]
    return "\n".join(lines)
