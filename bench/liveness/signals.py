"""Each signal of presence measured by itself, on animated photographs and on frames of people in films.

Kept and rejected signals are measured alike, so that the document can say why a signal was rejected.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from backend.demo.face_animation import FaceAnimator, Pose, add_hand_motion
from backend.demo.poses import FRAME_INTERVAL_MS, plan_burst
from backend.roll_call.check_in.challenges import draw_flash_colours
from bench.liveness.attacks import SMALL_PHONE, draw_challenge
from biometrics.engines.base import Box, Contours, FaceEngine
from biometrics.liveness.actions import Action
from biometrics.liveness.burst import Frame, ObservedActions, observe_actions
from biometrics.liveness.challenge import ActionRules
from biometrics.liveness.expression import measure_expression
from biometrics.liveness.face_change import CHIP_SIDE, choose_moments, cut_chip, measure_change
from biometrics.liveness.flash import Colour, flash_response, mean_colours, screen_colour_at
from biometrics.liveness.reactions import CueRules, Reaction, draw_cues
from biometrics.liveness.registration import Chip, unexplained_share, warp_onto
from biometrics.pictures.decoding import WORKING_SIDE, DecodeLimits, Picture
from biometrics.pictures.fingerprints import Fingerprint

CHANGE = "change of the face, first to last frame at rest"
NAMES = {
    "planar": "turn: residual of the best homography (eye distances)",
    "epipolar": "turn: residual of the best affine epipolar geometry",
    "mouth": "open mouth: detail between the lips (share of mean brightness)",
    "lids": "closed eyes: unexplained detail around the eyes",
    "noise": "finest detail: unexplained, first to last frame at rest",
    "change": CHANGE,
}
KEPT = frozenset({"change"})
_EYE_ROWS = slice(round(0.2 * CHIP_SIDE), round(0.4 * CHIP_SIDE))
_HIGHLIGHT = 50.0
"""Grey levels above the median of the eye."""

_DARK: Colour = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class SeenBurst:
    """The frames of a burst that show a face, and what the landmark model sees in them."""

    pictures: Sequence[Picture]
    boxes: Sequence[Box]
    contours: Sequence[Contours]
    observed: ObservedActions


def look_at(engine: FaceEngine, frames: Sequence[bytes], rules: ActionRules) -> SeenBurst:
    """Find faces, contours and actions as the check does."""
    pictures = [Picture.open(data, DecodeLimits(), in_burst=True) for data in frames]
    seen = [
        (picture, faces[0].box, contours)
        for picture, faces in zip(pictures, engine.track(pictures), strict=True)
        if faces and (contours := engine.find_contours(picture, faces[0]))
    ]
    hashes = Fingerprint("", 0)
    observed = observe_actions([Frame(hashes, 0, box, contours) for _, box, contours in seen], rules)
    return SeenBurst(
        [each[0] for each in seen], [each[1] for each in seen], [each[2] for each in seen], observed
    )


def measure_signals(burst: SeenBurst) -> dict[str, float]:
    """Every signal that this burst allows."""
    signals: dict[str, float] = {}
    moments = choose_moments(burst.observed.faces, burst.observed.at_rest)
    if moments is not None:
        first, last = (_chip(burst, index) for index in moments)
        signals["change"] = measure_change(first, last)
        signals["noise"] = _finest_share(warp_onto(first, last), last)
    for each in burst.observed.detected:
        if each.depth is not None:
            straight = min(burst.observed.faces, key=lambda face: abs(face.expression.turn)).contours
            signals["planar"] = max(each.depth, signals.get("planar", 0.0))
            signals["epipolar"] = epipolar_residual(straight, burst.contours[each.peak])
        elif each.action is Action.OPEN_MOUTH:
            signals["mouth"] = _mouth_detail(burst, each.peak)
        elif moments is not None:
            signals["lids"] = _lid_change(_chip(burst, moments[0]), _chip(burst, each.peak))
    return signals


def epipolar_residual(one: Contours, other: Contours) -> float:
    """Root mean square residual of the affine fundamental matrix (Hartley and Zisserman, 14.2), in eye distances."""
    rows = np.array([(a.x, a.y, b.x, b.y) for a, b in zip(one.rigid, other.rigid, strict=True)])
    smallest = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)[-1]
    distance = max(measure_expression(each).eye_distance for each in (one, other))
    return float(smallest / np.sqrt(len(rows)) / distance) if distance else 0.0


def find_highlights(burst: SeenBurst) -> Iterator[bool]:
    """For each eye of each frame at rest, whether it has a spot much brighter than the rest of it."""
    for index in burst.observed.at_rest:
        decoded = burst.pictures[index].grey_for_face(burst.boxes[index].width)
        for eye in (burst.contours[index].left_eye, burst.contours[index].right_eye):
            columns = [round(point.x / decoded.factor) for point in eye]
            rows = [round(point.y / decoded.factor) for point in eye]
            cut = decoded.pixels[min(rows) : max(rows) + 1, min(columns) : max(columns) + 1]
            yield bool(cut.size) and float(cut.max()) - float(np.median(cut)) > _HIGHLIGHT


def summarise(name: str, attacks: Sequence[float], honest: Sequence[float]) -> dict[str, object]:
    """Percentiles of both, and how well the signal separates them (area under the ROC curve; 0.5 is chance)."""
    return {
        "signal": NAMES[name],
        "attacks": len(attacks),
        "attack percentiles": _percentiles(attacks),
        "honest": len(honest),
        "honest percentiles": _percentiles(honest),
        "auc": _area(attacks, honest),
        "kept": name in KEPT,
    }


def simulate_flash(
    photograph: bytes, engine: FaceEngine, shares: Sequence[float], rng: random.Random
) -> dict[float, list[float]]:
    """The correlation of a face with eight colours, by the share of its light that comes from the screen."""
    responses: dict[float, list[float]] = {share: [] for share in shares}
    animator = FaceAnimator(photograph, SMALL_PHONE)
    colours = draw_flash_colours(rng, 8)
    poses = add_hand_motion(plan_burst(draw_challenge(rng)), rng.randrange(1000))
    shown = [screen_colour_at(colours, 500, FRAME_INTERVAL_MS * at) or _DARK for at in range(len(poses))]
    for share in shares:
        frames = [
            animator.frame(_lit(pose, colour, share), at)
            for at, (pose, colour) in enumerate(zip(poses, shown, strict=True))
        ]
        responses[share] += _measure_response(engine, frames, shown)
    return responses


def _measure_response(
    engine: FaceEngine, frames: Sequence[bytes], shown: Sequence[Colour]
) -> Iterator[float]:
    pictures = [Picture.open(frame, DecodeLimits(), in_burst=True) for frame in frames]
    lit = [
        (colour, *mean_colours(picture.rgb(WORKING_SIDE), faces[0].box))
        for colour, picture, faces in zip(shown, pictures, engine.track(pictures), strict=True)
        if faces
    ]
    response = flash_response(*zip(*lit, strict=True)) if lit else None
    if response is not None:
        yield response.correlation


def summarise_flash(responses: Mapping[float, Sequence[float]]) -> list[dict[str, object]]:
    """Percentiles of the correlation for each share of the screen's light."""
    return [
        {"share of light": share, "bursts": len(found), "correlation, 5, 50, 95 %": _percentiles(found)}
        for share, found in responses.items()
    ]


def summarise_highlights(
    attacked: Mapping[str, Sequence[float]], honest: Mapping[str, Sequence[float]]
) -> dict[str, float | None]:
    """The share of eyes with a highlight, in photographs and in films."""
    shares = {}
    for name, found in (("photographs", attacked), ("films", honest)):
        eyes = found.get("highlights", [])
        shares[name] = round(sum(eyes) / len(eyes), 3) if eyes else None
    return shares


def simulate_reactions(rules: CueRules, trials: int, rng: random.Random) -> list[dict[str, object]]:
    """The share of films of an answer to one challenge whose actions suit the cues of the next one, by their number.

    The recorded person reacts 0.3 to 1.2 s after each cue, frames are 400 ms apart, and the film is started so that its
    first action comes 0.7 s after the first cue.
    """
    rows: list[dict[str, object]] = []
    for count in (2, 3):
        fits = sum(_recording_fits(rules, count, rng) for _ in range(trials))
        rows.append({"actions": count, "recordings": trials, "in time for all cues": fits / trials})
    return rows


def _recording_fits(rules: CueRules, count: int, rng: random.Random) -> bool:
    recorded = [cue + rng.uniform(300, 1200) for cue in draw_cues(rng, count, rules)]
    cues = draw_cues(rng, count, rules)
    late = [at - recorded[0] + cues[0] + 700 - cue for at, cue in zip(recorded, cues, strict=True)]
    half = FRAME_INTERVAL_MS // 2
    return all(
        Reaction(cue, round(each) - half, round(each) + half).is_plausible(rules)
        for each, cue in zip(late, cues, strict=True)
    )


def _lit(pose: Pose, colour: Colour, strength: float) -> Pose:
    red, green, blue = (1 + strength * (value / 255 - 0.5) for value in colour)
    return replace(pose, light=(red, green, blue))


def _chip(burst: SeenBurst, index: int) -> Chip:
    return cut_chip(burst.pictures[index], burst.boxes[index], burst.contours[index])


def _lid_change(first: Chip, closed: Chip) -> float:
    around = np.zeros_like(first, bool)
    around[_EYE_ROWS] = True
    return unexplained_share(warp_onto(first, closed), closed, around)


def _finest_share(warped: Chip, last: Chip) -> float:
    """As `unexplained_share`, for the detail of single pixels."""
    known, shown = (
        each[1:-1, 1:-1] - (each[:-2, 1:-1] + each[2:, 1:-1] + each[1:-1, :-2] + each[1:-1, 2:]) / 4
        for each in (warped, last)
    )
    return 1 - float((known * shown).sum()) ** 2 / max(1e-9, float((known**2).sum() * (shown**2).sum()))


def _mouth_detail(burst: SeenBurst, index: int) -> float:
    decoded = burst.pictures[index].grey_for_face(burst.boxes[index].width)
    points = np.array([(point.x, point.y) for point in burst.contours[index].mouth]) / decoded.factor
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    x, y = 0.25 * (right - left), 0.2 * (bottom - top)
    inside = decoded.pixels[round(top + y) : round(bottom - y), round(left + x) : round(right - x)].astype(
        float
    )
    return float(inside.std() / max(1.0, decoded.pixels.mean())) if inside.size else 0.0


def _percentiles(figures: Sequence[float]) -> list[float]:
    return [round(float(each), 4) for each in np.percentile(figures, [5, 50, 95])] if figures else []


def _area(attacks: Sequence[float], honest: Sequence[float]) -> float | None:
    if not attacks or not honest:
        return None
    low, high = np.asarray(attacks)[:, None], np.asarray(honest)[None]
    return round(float((high > low).mean() + (high == low).mean() / 2), 3)
