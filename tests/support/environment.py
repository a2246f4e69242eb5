"""Settings as environment variables, for tests of commands."""

from backend.settings import Settings


def settings_environment(settings: Settings) -> dict[str, str]:
    """The `DIANMING_*` variables of settings; a list is separated by commas."""
    return {
        f"DIANMING_{name.upper()}": ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        for name, value in settings.model_dump(exclude_none=True).items()
    }
