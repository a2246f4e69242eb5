"""The image and the compose file agree with the code, as far as can be told without a container engine."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from backend.cli import SUBCOMMANDS
from backend.devstack.postgres import EXTENSIONS
from backend.devstack.services import drop_database, running_stack
from backend.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text().replace("\\\n", " ")
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)
REFERENCE = re.compile(r"\$\{([A-Z_]+)(:\?[^}]+)?\}")


def test_our_services_are_migrate_api_and_worker() -> None:
    assert OURS == ["api", "migrate", "worker"]


@pytest.mark.parametrize("name", OURS)
def test_each_of_our_services_runs_a_command_that_exists(name: str) -> None:
    assert SERVICES[name]["command"][0] in SUBCOMMANDS


@pytest.mark.parametrize("name", OURS)
def test_each_variable_of_ours_is_a_setting_and_no_needed_one_is_missing(name: str) -> None:
    given = {key.removeprefix("DIANMING_").lower() for key in SERVICES[name]["environment"]}
    needed = {field for field, info in Settings.model_fields.items() if info.is_required()}
    assert given <= set(Settings.model_fields)
    assert needed <= given


def test_only_migrate_knows_the_owner() -> None:
    knowing = {name for name in OURS if "DIANMING_OWNER_DATABASE_URL" in SERVICES[name]["environment"]}
    assert knowing == {"migrate"}


def test_every_secret_comes_from_outside_and_is_named_in_the_example() -> None:
    references = REFERENCE.findall((DOCKER / "compose.yaml").read_text())
    named = set(re.findall(r"^([A-Z_]+)=$", (DOCKER / "env.example").read_text(), re.MULTILINE))
    assert {name for name, _ in references} == named
    assert all(refusal for _, refusal in references), "a variable without a refusal would be empty in silence"


def test_dependencies_volumes_and_secrets_are_declared() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (DOCKER / source).is_file()
        for name, dependency in service.get("depends_on", {}).items():
            if dependency["condition"] == "service_healthy":
                assert "test" in SERVICES[name]["healthcheck"]


def test_every_image_is_pinned_to_a_version() -> None:
    images = [service["image"] for service in SERVICES.values() if "build" not in service]
    images += re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    images += re.findall(r"--from=(\S+/\S+)", DOCKERFILE)
    assert len(images) == 5
    assert all(re.search(r":\d", image) for image in images)


def test_what_the_image_copies_exists_and_passes_the_ignore_file() -> None:
    allowed = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line[:1] == "!"
    }
    copied = re.findall(r"^COPY (?!--)(.+)$", DOCKERFILE, re.MULTILINE)
    sources = {source for line in copied for source in line.split()[:-1]}
    assert sources == allowed
    assert all((ROOT / source).exists() for source in sources)


def test_the_image_does_not_run_as_root_and_has_a_health_check() -> None:
    last_stage = DOCKERFILE.rsplit("FROM ", 1)[1]
    assert re.search(r"^USER dianming$", last_stage, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK .*/healthz", last_stage, re.MULTILINE)
    assert 'ENTRYPOINT ["dianming"]' in last_stage


def test_the_database_script_is_valid_and_makes_what_the_local_cluster_has() -> None:
    path = DOCKER / "postgres-init.sh"
    checked = subprocess.run(["bash", "-n", str(path)], check=False, capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")
    made = path.read_text()
    assert re.findall(r"^CREATE EXTENSION (\w+);", made, re.MULTILINE) == list(EXTENSIONS)
    for role in ("dianming_owner", "dianming_app"):
        assert re.search(rf"CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE .*NOBYPASSRLS", made)


def test_the_database_script_runs_on_a_real_server(used_checkout: Path) -> None:
    """Against our own PostgreSQL, with roles dropped first; a password with a quote must not end a statement."""
    with running_stack(used_checkout) as stack:
        drop_database(stack, "dianming")
        psql = [
            str(stack.programs / "psql"),
            "--dbname",
            stack.dsn("postgres", "postgres"),
            "--tuples-only",
            "--no-align",
        ]
        subprocess.run([*psql, "-c", "DROP ROLE dianming_app", "-c", "DROP ROLE dianming_owner"], check=True)
        told = {
            "DIANMING_OWNER_PASSWORD": "it's; DROP",
            "DIANMING_APP_PASSWORD": "b",
            "PGHOST": str(stack.sockets),
        }
        subprocess.run(["bash", str(DOCKER / "postgres-init.sh")], check=True, env={**os.environ, **told})
        question = (
            "SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE rolname LIKE 'dianming%'"
        )
        answer = subprocess.run([*psql, "-c", question], check=True, capture_output=True, text=True).stdout
    assert answer.strip() == "dianming_app dianming_owner"
