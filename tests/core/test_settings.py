"""The addresses under which the API accepts DPoP proofs."""

import pytest

from backend.settings import Settings


def change(settings: Settings, **values: str) -> Settings:
    """A copy with other values, without the addresses that the original has cached."""
    changed = settings.model_copy(update=values)
    for cached in ("accepted_urls", "web_origins"):
        changed.__dict__.pop(cached, None)
    return changed


@pytest.mark.parametrize(
    ("url", "accepted"),
    [
        ("http://127.0.0.1:8000/", ("http://127.0.0.1:8000", "http://localhost:8000")),
        ("http://localhost:8000", ("http://localhost:8000", "http://127.0.0.1:8000")),
        ("http://localhost", ("http://localhost", "http://127.0.0.1")),
        ("https://dianming.example/api", ("https://dianming.example/api",)),
    ],
)
def test_localhost_and_its_address_are_equal_in_development(
    settings: Settings, url: str, accepted: tuple[str, ...]
) -> None:
    assert change(settings, env="development", public_url=url).accepted_urls == accepted


@pytest.mark.parametrize("env", ["test", "production"])
def test_only_the_public_address_is_accepted_elsewhere(settings: Settings, env: str) -> None:
    changed = change(settings, env=env, public_url="http://127.0.0.1:8000")
    assert changed.accepted_urls == ("http://127.0.0.1:8000",)


@pytest.mark.parametrize(
    ("url", "origins"),
    [
        ("https://Dianming.example/api", ("https://dianming.example",)),
        ("https://dianming.example:443", ("https://dianming.example",)),
        ("https://dianming.example:8443/", ("https://dianming.example:8443",)),
        ("http://[::1]:8000", ("http://[::1]:8000",)),
        ("http://127.0.0.1:8000", ("http://127.0.0.1:8000", "http://localhost:8000")),
    ],
)
def test_origins_are_written_as_browsers_write_them(
    settings: Settings, url: str, origins: tuple[str, ...]
) -> None:
    assert change(settings, env="development", public_url=url).web_origins == origins
