"""Processor time of bursts of flat pictures, which are tiny files with many pixels: with the policy's limits and without."""

import io
import time
from dataclasses import replace
from pathlib import Path

from PIL import Image

from backend.core.clock import legal_day, now
from backend.devstack.sample_faces import sample_faces_dir, sample_people
from backend.policy.installed import policy_at
from backend.roll_call.policy import face_rules
from bench.report import publish
from biometrics.engines.base import EngineSet
from biometrics.engines.dlib_onnx import installed_models
from biometrics.engines.sface import KEY, SFaceEngine
from biometrics.liveness.actions import Action
from biometrics.liveness.landmark_model import Dlib68LandmarkModel
from biometrics.matching.decision import Method
from biometrics.matching.scoring import MatchReference, ScoringConfig, neutral_population
from biometrics.pictures.decoding import DecodeLimits
from biometrics.tasks import Shot, enrol_shots, verify_burst

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 8
BURSTS = (
    ("PNG", (5000, 5000)),
    ("WEBP", (5000, 5000)),
    ("JPEG", (5000, 5000)),
    ("PNG", (1080, 1920)),
    ("PNG", (720, 1280)),
    ("JPEG", (1080, 1920)),
)


def main() -> None:
    """Measure and publish."""
    engines = EngineSet([SFaceEngine(Dlib68LandmarkModel(installed_models()))])
    rules = face_rules(policy_at(legal_day(now()), "410000"), KEY.id)
    shots = [Shot(path.read_bytes()) for path in sample_people(sample_faces_dir(ROOT))["obama"]]
    template = enrol_shots(engines, shots, rules).template
    assert template is not None
    population = neutral_population(KEY, template.mean.size)
    reference = MatchReference(template, population, ScoringConfig(Method.NEUTRAL))
    rows = []
    for kind, size in BURSTS:
        burst = [Shot(_flat(kind, size, 100 + at), 400 * at) for at in range(FRAMES)]
        row: dict[str, object] = {
            "frames": f"{FRAMES} {kind} of {size[0]} x {size[1]}",
            "kB each": len(burst[0].data) // 1000,
        }
        for name, limited in (
            ("without limits, ms", replace(rules, frame_decoding=DecodeLimits())),
            ("with limits, ms", rules),
        ):
            started = time.process_time()
            result = verify_burst(engines, burst, reference, limited, (Action.TURN_LEFT, Action.OPEN_MOUTH))
            row[name] = round(1000 * (time.process_time() - started))
        row["reason"] = ", ".join(reason.code for reason in result.quality_reasons)
        rows.append(row)
    publish("flat-pictures", "processor time of one burst", rows)


def _flat(kind: str, size: tuple[int, int], shade: int) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", size, (shade, 120, 130)).save(target, kind)
    return target.getvalue()


if __name__ == "__main__":
    main()
