"""Two people stand before the camera, the second a step behind the first, to enrol one face for both."""

from pathlib import Path

import pytest

from backend.core.clock import legal_day, now
from backend.devstack.sample_faces import sample_faces_dir, sample_people
from backend.identity.face.policy import enrolment_rules
from backend.policy.installed import policy_at
from bench.face.two_people import compose, cut_out_face
from biometrics.engines.base import EngineSet
from biometrics.tasks import Shot, enrol_shots
from tests.support.biometrics import shipped_engine

pytestmark = pytest.mark.clause("HN334-3.1")
EXPECTED = "refused: second_face"
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("ratio", [0.6, 0.7])
def test_attack(ratio: float) -> None:
    engine, people = shipped_engine.engine(), sample_people(sample_faces_dir(ROOT))
    other = cut_out_face(engine, people["biden"][0])
    own = [cut_out_face(engine, path) for path in people["obama"][:3]]
    shots = [Shot(compose(face, other, ratio)) for face in own if face and other]
    result = enrol_shots(EngineSet([engine]), shots, enrolment_rules(policy_at(legal_day(now()), "410000")))
    reasons = {reason.code for report in result.shots for reason in report.reasons}
    assert result.template is None
    assert f"refused: {', '.join(reasons)}" == EXPECTED
