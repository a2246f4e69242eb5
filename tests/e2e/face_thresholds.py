"""Face thresholds of the system under test: learned from the sample photographs by the product's own rule and approved.

A deployment learns them from rehearsals of many students, which would take minutes here. The photographs take the place of
the rehearsal; learning, storing and approval are the product's.
"""

from datetime import datetime
from pathlib import Path
from uuid import UUID

import numpy as np

from backend.core.app_context import open_app_context
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.demo.fixtures import Organisation
from backend.demo.staff import expect
from backend.devstack.sample_faces import sample_faces_dir, sample_people
from backend.identity.face import policy as face_policy
from backend.identity.face.calibration.policy import learning_rules, minimum_people
from backend.identity.face.calibration.tables import RehearsalConfirmation
from backend.identity.face.calibration.versions import NewVersion, store_version
from backend.identity.policy import province_policy
from backend.org.paths import build_unit_path
from backend.settings import Settings
from biometrics.engines.base import EmbeddingUse
from biometrics.engines.sface import KEY, SFaceEngine
from biometrics.matching.decision import mean_descriptor
from biometrics.matching.learned_thresholds import LabelledFaces, learn_thresholds
from biometrics.matching.scoring import NEUTRAL_VERSION, Vectors
from biometrics.pictures.decoding import DecodeLimits, Picture
from tests.e2e.camera import fit_picture

GROUP = "male 16-17"
"""The group of the people in the photographs: only students of it can be accepted."""
SHOTS = 3
"""Photographs of a template; as many others are the probes."""
CACHE = Path(".local/cache")


async def install_thresholds(settings: Settings, organisation: Organisation, root: Path) -> None:
    """Learn thresholds, let the province approve them, and record the rehearsal of the first school."""
    app_context = open_app_context(settings)
    try:
        at = app_context.clock()
        policy = province_policy(app_context, at)
        province = build_unit_path("province", settings.province_code, None)
        minimum = minimum_people(policy, app_context)
        learned = learn_thresholds(describe_people(root), learning_rules(policy, minimum=minimum))
        school_id = UUID(organisation.schools[0].id)
        new = NewVersion(
            engine=KEY,
            scoring=face_policy.scoring(policy, KEY, NEUTRAL_VERSION),
            population_version=NEUTRAL_VERSION,
            learned=learned,
            schools=[school_id],
            minimum=minimum,
            demonstration=True,
            policy_version=policy.version,
        )
        async with app_context.database.transaction(Scope.wide(province)) as session:
            version = await store_version(session, new, province, at)
        await _confirm_rehearsal(app_context.database, organisation, at)
    finally:
        await app_context.close()
    path = f"/v1/face-thresholds/{version.id}/approval"
    expect(await organisation.province.post(path, {"reasons": "浏览器测试：已核对"}), 201)


async def _confirm_rehearsal(database: Database, organisation: Organisation, at: datetime) -> None:
    """Record that the first class of the first school was rehearsed; no face decides in a school that was not."""
    school = organisation.schools[0]
    row = RehearsalConfirmation(
        id=new_id(),
        school_id=UUID(school.id),
        roll_call_id=new_id(),
        class_id=UUID(school.classes[0]["id"]),
        account_id=new_id(),
        confirmed=SHOTS,
        excluded=0,
        at=at,
    )
    async with database.transaction(Scope.school(row.school_id)) as session:
        session.add(row)


def describe_people(root: Path) -> LabelledFaces:
    """A template and a probe of everyone with enough photographs. The descriptors are cached, because they take long."""
    directory = sample_faces_dir(root)
    cached = root / CACHE / f"e2e-descriptors-{KEY.id}-{KEY.version}-{directory.name}.npz"
    if not cached.exists():
        templates, probes = _describe(directory)
        np.savez(cached, templates=templates, probes=probes)
    with np.load(cached) as stored:
        templates, probes = stored["templates"], stored["probes"]
    people = len(templates)
    return LabelledFaces(templates, np.zeros(people, np.int64), [GROUP] * people, probes, np.arange(people))


def _describe(directory: Path) -> tuple[Vectors, Vectors]:
    """The mean descriptors of the first photographs of each person, and of the next ones."""
    engine = SFaceEngine()
    templates, probes = [], []
    for photographs in sample_people(directory).values():
        if len(photographs) < 2 * SHOTS:
            continue
        faces = []
        for path in photographs[: 2 * SHOTS]:
            picture = Picture.open(fit_picture(path.read_bytes()), DecodeLimits())
            faces += [(picture, face) for face in engine.detect(picture, thorough=True)[:1]]
        if len(faces) == 2 * SHOTS:
            shots = engine.embed(faces[:SHOTS], use=EmbeddingUse.TEMPLATE)
            frames = engine.embed(faces[SHOTS:], use=EmbeddingUse.PROBE)
            templates.append(mean_descriptor(shots).vector)
            probes.append(mean_descriptor(frames).vector)
    return np.stack(templates), np.stack(probes)
