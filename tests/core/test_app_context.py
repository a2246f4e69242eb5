"""Production processes start only with production settings."""

from pathlib import Path
from typing import Any

import pytest

from backend.core.app_context import check_production_settings
from backend.settings import Settings

PRODUCTION_SETTINGS: dict[str, Any] = {
    "env": "production",
    "public_url": "https://dianming.example",
    "gateway_secret": "the carrier's own",
    "test_engine": False,
    "clock_file": None,
}


def production_settings(settings: Settings, **changes: Any) -> Settings:
    return settings.model_copy(update=PRODUCTION_SETTINGS | changes)


def test_valid_production_settings_are_accepted(settings: Settings) -> None:
    check_production_settings(production_settings(settings))


@pytest.mark.parametrize(
    "changes",
    [
        {"test_engine": True},
        {"clock_file": Path("offset")},
        {"clock_bar": True},
        {"gateway_secret": "demo-secret"},
        {"public_url": "http://dianming.example"},
    ],
)
def test_production_rejects_demonstration_settings(settings: Settings, changes: dict[str, Any]) -> None:
    check_production_settings(settings.model_copy(update=changes))
    with pytest.raises(RuntimeError, match="production"):
        check_production_settings(production_settings(settings, **changes))
