"""Liveness check: which attacks pass, which signals of presence separate them from people, and how long a check takes.

Attacks are made of photographs (bench.liveness.attacks): the sample photographs, and with `--faces DIR` those of a
research set, each folder of `ea` and `cfp` in it as a group. Honest bursts are cut from films of people who move (`--videos
DIR`). Few films give examples, no rates. `python -m bench.liveness --write` also writes docs/measurements/liveness.json
and the tables of docs/biometrics.md.
"""

import argparse
import multiprocessing
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from backend.core.clock import legal_day, now
from backend.demo.face_animation import PHONE, FaceAnimator, NoFaceToAnimate, render_burst
from backend.demo.poses import FRAME_INTERVAL_MS, plan_burst
from backend.policy.installed import policy_at
from backend.roll_call.policy import cue_rules, face_rules
from bench.liveness import signals
from bench.liveness.attacks import ANIMATED, SMALL_PHONE, Attack, AttackedPerson
from bench.liveness.face_processes import measure_face_processes
from bench.liveness.sources import Photographs, film_bursts, film_stills, folder_group, sample_group
from bench.liveness.tables import (
    Trial,
    attack_row,
    film_row,
    pair_row,
    read_document,
    write_document,
)
from bench.report import publish, seed
from biometrics.engines.base import EngineSet
from biometrics.engines.dlib_onnx import installed_models
from biometrics.engines.sface import KEY, SFaceEngine
from biometrics.liveness.actions import Action
from biometrics.liveness.face_change import cut_chip, measure_change
from biometrics.liveness.landmark_model import Dlib68LandmarkModel
from biometrics.matching.decision import Method
from biometrics.matching.scoring import MatchReference, ScoringConfig, neutral_population
from biometrics.tasks import BurstResult, FaceRules, Shot, enrol_shots, verify_burst

SEED = seed(7)
PROVINCE = "410000"
SAMPLES, OTHERS = 7, 7
"""People of the sample photographs, and of each group of a research set."""
TRIES, PICTURE_TRIES = 3, 1
"""Challenges that each person answers by animated photographs, and by stills, prints and screens."""
FLASHED = 5
"""People of the sample photographs whose response to the screen is simulated."""
APART = 7
"""Every seventh burst of a film overlaps with no other one."""
GROUPS = (("ea", "East Asian, colour"), ("cfp", "Western-heavy, colour"))
"""Folders of a research set, and what they are called."""
FLASH_SHARES = (0.0, 0.01, 0.03, 0.1)
"""Of the face's light that comes from the screen; 0 is an attack."""


Signals = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Checker:
    """The shipped engine and rules."""

    engine: SFaceEngine
    engines: EngineSet
    rules: FaceRules

    @classmethod
    def create(cls) -> "Checker":
        """With the policy of today."""
        engine = SFaceEngine(Dlib68LandmarkModel(installed_models()))
        rules = face_rules(policy_at(legal_day(now()), PROVINCE), KEY.id)
        single = replace(rules.enrolment, min_shots=1, max_shot_distance=float("inf"))
        return cls(engine, EngineSet([engine]), replace(rules, enrolment=single))

    def enrol(self, photographs: Photographs) -> MatchReference | None:
        """A template of whatever is usable: the match is not what is measured here."""
        template = enrol_shots(self.engines, [Shot(data) for data in photographs], self.rules).template
        if template is None:
            return None
        population = neutral_population(KEY, template.mean.size)
        return MatchReference(template, population, ScoringConfig(Method.NEUTRAL))

    def verify(
        self,
        frames: Sequence[bytes],
        reference: MatchReference,
        requested: Sequence[Action],
        times_ms: Sequence[int] = (),
    ) -> BurstResult:
        """Check a burst whose frames come at a phone's pace."""
        times = times_ms or [FRAME_INTERVAL_MS * at + at**2 % 7 for at in range(len(frames))]
        burst = [Shot(data, at) for data, at in zip(frames, times, strict=True)]
        return verify_burst(self.engines, burst, reference, self.rules, requested)


@cache
def _checker() -> Checker:
    """One in each process."""
    return Checker.create()


def play_groups(
    workers: Executor, groups: Mapping[str, Mapping[str, Photographs]]
) -> list[Future[tuple[list[Trial], Signals]]]:
    """Play the attacks on every person of every group; prints, screens and stills on the first group only."""
    return [
        workers.submit(
            _play_person, group, name, people[name], people[list(people)[at - 1]], pictures=not number
        )
        for number, (group, people) in enumerate(groups.items())
        for at, name in enumerate(people)
    ]


def _join(parts: Iterable[Mapping[Any, Sequence[float]]]) -> dict[Any, list[float]]:
    joined: dict[Any, list[float]] = {}
    for part in parts:
        for key, figures in part.items():
            joined.setdefault(key, []).extend(figures)
    return joined


def _play_person(
    group: str, name: str, photographs: Photographs, other: Photographs, *, pictures: bool
) -> tuple[list[Trial], Signals]:
    checker, rng, found = _checker(), random.Random(f"{SEED} {group} {name}"), Signals()
    reference = checker.enrol(photographs[1:])
    trials: list[Trial] = []
    try:
        person = AttackedPerson(photographs, other)
    except NoFaceToAnimate:
        return trials, found
    if reference is None:
        return trials, found
    for number in range(TRIES):
        for attack in _attacks_on(person, number, rng, pictures=pictures and number < PICTURE_TRIES):
            result = checker.verify(attack.frames, reference, attack.requested)
            answered = not result.quality_reasons and not result.liveness.reasons
            passed = answered and not result.liveness.doubts
            trials.append(Trial(group, attack.species, name, answered, passed))
            if attack.species == ANIMATED and number == 0:
                _collect(checker, attack.frames, found)
    return trials, found


def _attacks_on(
    person: AttackedPerson, number: int, rng: random.Random, *, pictures: bool
) -> Iterator[Attack]:
    if pictures:
        yield from person.of_pictures(number, rng)
    yield from person.animated(number, rng)


def _collect(checker: Checker, frames: Sequence[bytes], found: Signals) -> None:
    actions = checker.rules.challenge
    assert actions is not None
    burst = signals.look_at(checker.engine, frames, actions.actions)
    for name, figure in signals.measure_signals(burst).items():
        found.setdefault(name, []).append(figure)
    found.setdefault("highlights", []).extend(float(each) for each in signals.find_highlights(burst))


def measure_film(path: Path) -> tuple[dict[str, Any], Signals]:
    """In how many bursts of a film an action is seen and a doubt is raised; the signals of bursts that do not overlap."""
    checker, found = _checker(), Signals()
    bursts = list(film_bursts(path))
    reference = checker.enrol([bursts[0].frames[1], bursts[-1].frames[-1]])
    assert reference is not None
    checked = []
    for at, burst in enumerate(bursts):
        requested = (Action.OPEN_MOUTH, Action.CLOSE_EYES)
        checked.append(checker.verify(burst.frames, reference, requested, burst.times_ms))
        if at % APART == 0:
            _collect(checker, burst.frames, found)
    return film_row(path.stem, checked), found


def measure_photograph_pairs(photographs: Photographs) -> list[float]:
    """The change between photographs of one person: honest, but from other moments than those of one burst."""
    checker = _checker()
    frames = [FaceAnimator(data, SMALL_PHONE).still_frame(at) for at, data in enumerate(photographs)]
    actions = checker.rules.challenge
    assert actions is not None
    burst = signals.look_at(checker.engine, frames, actions.actions)
    chips = [cut_chip(*each) for each in zip(burst.pictures, burst.boxes, burst.contours, strict=True)]
    return [measure_change(chips[0], each) for each in chips[1:]]


def measure_flash(photograph: bytes) -> dict[float, list[float]]:
    """The response of one animated photograph to the colours of a screen."""
    return signals.simulate_flash(photograph, _checker().engine, FLASH_SHARES, random.Random(SEED))


def measure_check_time(checker: Checker, photographs: Photographs) -> dict[str, Any]:
    """The time of a complete check of eight frames at 720p, next to that of one naive picture."""
    reference = checker.enrol(photographs)
    assert reference is not None
    requested = (Action.TURN_LEFT, Action.OPEN_MOUTH)
    frames = render_burst(FaceAnimator(photographs[0], PHONE), plan_burst(requested))
    burst = [Shot(data, FRAME_INTERVAL_MS * at + at**2 % 7) for at, data in enumerate(frames)]
    return {
        "frames": len(frames),
        "size": "720x1280",
        **measure_face_processes(burst, reference, checker.rules, requested),
    }


def main() -> None:
    """Measure, print and (with --write) keep the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.liveness")
    parser.add_argument("--faces", type=Path, help="folder with the groups ea and cfp of a research set")
    parser.add_argument("--videos", type=Path, help="folder of films of people who move")
    parser.add_argument(
        "--write", action="store_true", help="write docs/measurements/liveness.json and the tables"
    )
    parser.add_argument("--time", action="store_true", help="measure only the time of a check")
    parser.add_argument("--workers", type=int, default=2, help="number of processes")
    arguments = parser.parse_args()
    if arguments.time:
        _publish_time(write=arguments.write)
        return
    groups = _choose_groups(arguments.faces, arguments.videos)
    samples = next(iter(groups.values()))
    films = sorted(arguments.videos.glob("*.mp4")) if arguments.videos else []
    with ProcessPoolExecutor(arguments.workers, multiprocessing.get_context("spawn")) as workers:
        played = play_groups(workers, groups)
        filmed = [workers.submit(measure_film, path) for path in films]
        flashed = [
            workers.submit(measure_flash, photographs[0]) for photographs in list(samples.values())[:FLASHED]
        ]
        paired = [workers.submit(measure_photograph_pairs, each[:5]) for each in samples.values()]
        results = [each.result() for each in played]
        seen = [each.result() for each in filmed]
        flash = _join(each.result() for each in flashed)
        pairs = [change for each in paired for change in each.result()]
    trials = [trial for of_person, _ in results for trial in of_person]
    attacked, honest = _join(found for _, found in results), _join(found for _, found in seen)
    checker, rng = _checker(), random.Random(SEED)
    limit = checker.rules.challenge
    assert limit is not None
    document: dict[str, Any] = {
        "schema": "dianming-liveness/1",
        "command": "python -m bench.liveness --faces DIR --videos DIR --write",
        "day": now().date().isoformat(),
        "seed": SEED,
        "min_change": limit.presence.min_change,
        "attacks": [attack_row(*key, group) for key, group in group_trials(trials).items()],
        "films": [row for row, _ in seen],
        "photograph_pairs": pair_row(pairs, limit.presence.min_change),
        "signals": [
            signals.summarise(name, attacked.get(name, []), honest.get(name, [])) for name in signals.NAMES
        ],
        "highlights": signals.summarise_highlights(attacked, honest),
        "flash": signals.summarise_flash(flash),
        "reactions": signals.simulate_reactions(
            cue_rules(policy_at(legal_day(now()), PROVINCE)), 20_000, rng
        ),
        "time": measure_check_time(checker, next(iter(samples.values()))),
    }
    for table in ("attacks", "films", "signals", "flash", "reactions"):
        if document[table]:
            publish(f"liveness-{table}", "docs/biometrics.md, Liveness", document[table], SEED)
    publish("liveness-time", "one naive picture of face_recognition", [document["time"]])
    if arguments.write:
        write_document(document)


def _publish_time(*, write: bool) -> None:
    """Measure the time of a check on a quiet machine; the other figures stay."""
    spent = measure_check_time(_checker(), next(iter(sample_group(1).values())))
    publish("liveness-time", "one naive picture of face_recognition", [spent])
    if write:
        write_document(read_document() | {"time": spent})


def _choose_groups(faces: Path | None, videos: Path | None) -> dict[str, Mapping[str, Photographs]]:
    groups: dict[str, Mapping[str, Photographs]] = {"AT&T, grey": sample_group(SAMPLES)}
    for folder, name in GROUPS if faces else ():
        assert faces is not None
        groups[name] = folder_group(faces / folder, OTHERS)
    if videos:
        groups["frames of films"] = film_stills(videos)
    return groups


def group_trials(trials: Sequence[Trial]) -> dict[tuple[str, str], list[Trial]]:
    """By group and species, in the order of the first."""
    grouped: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        grouped.setdefault((trial.species, trial.group), []).append(trial)
    return grouped
