"""Liveness check: how many attacks of each species pass their challenge, and how long a check takes.

The attacks are made from one still photograph each (bench.attacks, backend.demo.face_animation). No video of real people
performing the actions is available, so the rate of honest people who fail is not measured here. docs/biometrics.md reports
what real heads and eyelids do in the AT&T photographs.
"""

import io
import math
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from backend.core.clock import legal_day, now
from backend.demo.face_animation import PHONE, FaceAnimator, NoFaceToAnimate, Pose, render_burst
from backend.demo.poses import FRAME_INTERVAL_MS, plan_burst
from backend.devstack.sample_faces import sample_faces_dir, sample_people
from backend.policy.installed import policy_at
from backend.roll_call.policy import face_rules
from bench import attacks
from bench.report import publish, seed
from biometrics.engines.base import EngineSet
from biometrics.engines.dlib_onnx import KEY, DlibOnnxEngine, installed_models
from biometrics.engines.reference import ReferenceEngine
from biometrics.liveness.actions import Action, draw_actions
from biometrics.liveness.landmark_model import Dlib68LandmarkModel
from biometrics.matching.decision import Method
from biometrics.matching.scoring import MatchReference, ScoringConfig, neutral_population
from biometrics.pictures.decoding import picture_from_pixels
from biometrics.tasks import BurstResult, FaceRules, Shot, enrol_shots, verify_burst

SEED = seed(7)

ROOT = Path(__file__).resolve().parents[1]
PROVINCE = "410000"
SMALL_PHONE = (360, 640)
TURNS = (Action.TURN_LEFT, Action.TURN_RIGHT)
"""The challenge without eye or mouth actions: the easiest one for a sheet of paper."""
PERSONS, TRIALS = 20, 2
ROUNDS, TURNS_OF_CHECKS = 8, 3
"""Rounds with one naive picture each, and the number of checks after it."""
NAIVE_MS, AT_MOST_MS = 407.0, 150.0
"""Time of one picture of this size with `face_recognition` on the machine for which the limit of a check was set."""
_TIME_BASELINE = f"{AT_MOST_MS:g} ms on one core that does a naive picture in {NAIVE_MS:g} ms: {AT_MOST_MS / NAIVE_MS:.2f} of it"

SPECIES: dict[str, attacks.Attack] = {
    "re-upload: one still with noise": attacks.reuploaded_still,
    "print, moved in its plane": attacks.moved_print,
    "print, tilted": attacks.tilted_print,
    "print, bent and turned": attacks.bent_print,
    "screen, tilted, with its grid": attacks.screen_replay,
}


def verify(
    engines: EngineSet,
    frames: Sequence[bytes],
    reference: MatchReference,
    rules: FaceRules,
    requested: Sequence[Action],
) -> BurstResult:
    burst = [Shot(data, FRAME_INTERVAL_MS * number + number**2 % 7) for number, data in enumerate(frames)]
    return verify_burst(engines, burst, reference, rules, requested)


def passes(result: BurstResult) -> bool:
    """Whether there is no reason against the burst. The match is not considered."""
    return not result.quality_reasons and not result.liveness.reasons


def wrong_order(requested: Sequence[Action], rng: random.Random) -> tuple[Action, ...]:
    """The same number of actions, but not the requested sequence."""
    while (other := draw_actions(rng, list(Action), len(requested))) == tuple(requested):
        pass
    return other


def species_row(species: str, results: Sequence[BurstResult]) -> dict[str, object]:
    passed = sum(passes(result) for result in results)
    trials = len(results)
    reasons = [reason.code for result in results for reason in result.liveness.reasons]
    return {
        "species": species,
        "bursts": trials,
        "passed": passed,
        "share": passed / trials,
        "95% upper": wilson_upper_bound(passed, trials),
        "median risk": statistics.median(result.liveness.risk.score for result in results),
        "commonest reason": statistics.mode(reasons) if reasons else "-",
    }


def wilson_upper_bound(passed: int, trials: int) -> float:
    """Wilson's upper bound at 95%."""
    z, share = 1.96, passed / trials
    middle = share + z**2 / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return (middle + half) / (1 + z**2 / trials)


def main() -> None:
    """Measure the pass rate of each species, then the time of one check."""
    engines = EngineSet([DlibOnnxEngine(landmark_model=Dlib68LandmarkModel(installed_models()))])
    rules = face_rules(policy_at(legal_day(now()), PROVINCE), KEY.id)
    people = sample_people(sample_faces_dir(ROOT))
    rng = random.Random(SEED)
    results: dict[str, list[BurstResult]] = {}
    for name in [name for name, paths in people.items() if len(paths) >= 4][:: max(1, 40 // PERSONS)]:
        shots = [Shot(path.read_bytes()) for path in people[name][1:4]]
        template = enrol_shots(engines, shots, rules).template
        try:
            animator = FaceAnimator(people[name][0].read_bytes(), SMALL_PHONE)
        except NoFaceToAnimate:
            continue
        if template is None:
            continue
        reference = MatchReference(
            template, neutral_population(KEY, template.mean.size), ScoringConfig(Method.NEUTRAL)
        )
        for species, requested, frames in _attack_bursts(animator, rng):
            result = verify(engines, frames, reference, rules, requested)
            results.setdefault(species, []).append(result)
    rows = [species_row(*each) for each in results.items()]
    publish("liveness", "attacks that answer their challenge", rows, SEED)
    publish("liveness-time", _TIME_BASELINE, [_measure_check_time(engines, rules, people["obama"])])


def _attack_bursts(
    animator: FaceAnimator, rng: random.Random
) -> Iterator[tuple[str, tuple[Action, ...], list[bytes]]]:
    """Species, requested actions and frames of every attack with one photograph."""
    still = Image.open(io.BytesIO(animator.frame(Pose(), 0)))
    for trial in range(TRIALS):
        requested = draw_actions(rng, list(Action), rng.choice((2, 3)))
        for species, attack in SPECIES.items():
            yield species, requested, attack(still, plan_burst(requested), rng)
        other = wrong_order(requested, rng)
        yield "animated photograph, wrong order", requested, render_burst(animator, plan_burst(other), trial)
        earlier = draw_actions(rng, list(Action), rng.choice((2, 3)))
        replay = render_burst(animator, plan_burst(earlier), trial)
        yield "replay of the answer to an earlier challenge", requested, replay
        injected = render_burst(animator, plan_burst(requested), trial)
        yield "animated photograph (injection: not detected)", requested, injected
        for species in ("print, tilted", "print, bent and turned"):
            yield f"{species}; two turns asked", TURNS, SPECIES[species](still, plan_burst(TURNS), rng)


def _measure_check_time(
    engines: EngineSet, rules: FaceRules, photographs: Sequence[Path]
) -> dict[str, object]:
    """CPU time of a complete check of eight frames at 720p, and of one naive picture in the same run."""
    template = enrol_shots(engines, [Shot(path.read_bytes()) for path in photographs], rules).template
    assert template is not None
    reference = MatchReference(
        template, neutral_population(KEY, template.mean.size), ScoringConfig(Method.NEUTRAL)
    )
    requested = (Action.TURN_LEFT, Action.OPEN_MOUTH)
    frames = render_burst(FaceAnimator(_crop_portrait(photographs[0]), PHONE), plan_burst(requested))
    verify(engines, frames, reference, rules, requested)
    package = ReferenceEngine()
    package.describe(frames[0])
    naive, checks, stages = [], [], []
    for _ in range(ROUNDS):
        started = time.process_time()
        package.describe(frames[0])
        naive.append((time.process_time() - started) * 1000)
        for _ in range(TURNS_OF_CHECKS):
            started = time.process_time()
            stages.append(verify(engines, frames, reference, rules, requested).ms)
            checks.append((time.process_time() - started) * 1000)
    by_stage = {f"{name} ms": statistics.median(each[name] for each in stages) for name in stages[0]}
    ratio = statistics.median(checks) / statistics.median(naive)
    return {
        "frames": len(frames),
        "size": "720x1280",
        "median ms": statistics.median(checks),
        "best ms": min(checks),
        "naive picture ms": statistics.median(naive),
        "naive best ms": min(naive),
        "of a naive picture": ratio,
        "scaled ms": ratio * NAIVE_MS,
        "met": "yes" if ratio * NAIVE_MS <= AT_MOST_MS else "NO",
        **by_stage,
    }


def _crop_portrait(path: Path) -> bytes:
    """Head and shoulders, as in a selfie."""
    with Image.open(path) as picture:
        rgb = picture.convert("RGB")
    face = DlibOnnxEngine().detect(picture_from_pixels(np.asarray(rgb)))[0].box.grown(0.55)
    target = io.BytesIO()
    rgb.crop((round(face.left), round(face.top), round(face.right), round(face.bottom))).save(target, "PNG")
    return target.getvalue()


if __name__ == "__main__":
    main()
