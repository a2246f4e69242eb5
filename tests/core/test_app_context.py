"""A process starts only as what it claims to be."""

from pathlib import Path
from typing import Any

import pytest

from backend.core.app_context import check_production_settings
from backend.settings import Settings

SOUND: dict[str, Any] = {
    "env": "production",
    "public_url": "https://dianming.example",
    "gateway_secret": "the carrier's own",
    "test_engine": False,
    "clock_file": None,
}


def production(settings: Settings, **changes: Any) -> Settings:
    return settings.model_copy(update=SOUND | changes)


def test_a_sound_production_process_starts(settings: Settings) -> None:
    check_production_settings(production(settings))


@pytest.mark.parametrize(
    "make_believe",
    [
        {"test_engine": True},
        {"clock_file": Path("offset")},
        {"gateway_secret": "demo-secret"},
        {"public_url": "http://dianming.example"},
    ],
)
def test_production_refuses_what_only_a_demonstration_may_have(
    settings: Settings, make_believe: dict[str, Any]
) -> None:
    check_production_settings(settings.model_copy(update=make_believe))
    with pytest.raises(RuntimeError, match="production"):
        check_production_settings(production(settings, **make_believe))
