"""Finding the browser and the font that the browser tests need."""

from pathlib import Path

import pytest

from backend.devstack import browser
from backend.devstack.browser import ensure_browser, missing_browser_packages
from backend.devstack.errors import PackagesNotInstalled


def test_bare_machine_misses_chromium_and_a_chinese_font(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing_browser_packages(tmp_path) == ("chromium", "fonts-noto-cjk")


def test_installed_browser_and_font_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "opentype").mkdir()
    (tmp_path / "opentype" / "NotoSansCJK-Regular.ttc").touch()
    (tmp_path / "chromium").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing_browser_packages(tmp_path) == ()


def test_failed_installation_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "missing_browser_packages", lambda: ("chromium",))
    monkeypatch.setattr(browser, "install_packages", lambda _: False)
    with pytest.raises(PackagesNotInstalled, match=r"apt-get install .*chromium"):
        ensure_browser()
