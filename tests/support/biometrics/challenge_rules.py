"""Challenge rules and contours of an acting head, for liveness tests."""

from collections.abc import Callable

from biometrics.engines.base import Contours, Point
from biometrics.engines.test_pattern import PatternEngine, render_pattern
from biometrics.liveness.actions import Action
from biometrics.liveness.burst import BurstRules, ChallengeRules
from biometrics.liveness.challenge import ActionRules
from biometrics.liveness.presence import PresenceRules
from biometrics.liveness.reactions import CueRules
from biometrics.liveness.risk import RiskRules
from biometrics.pictures.decoding import DecodeLimits, Picture

ACTIONS = ActionRules(
    closed_eyes=0.6,
    closed_eyes_frames=2,
    closed_mouth=0.25,
    open_mouth=0.35,
    min_turn=0.15,
    min_depth=0.03,
    unasked_frames=2,
)
BURST = BurstRules(min_frames=8, min_gap_ms=50, max_gap_ms=5000, max_frame_distance=0.5)
CUES = CueRules(min_gap_ms=1600, max_gap_ms=2800, min_reaction_ms=150, max_reaction_ms=2000, max_end_ms=8400)
CHALLENGE = ChallengeRules(
    actions=ACTIONS,
    max_span_ms=20_000,
    max_lost_frames=1,
    max_nose_offset=0.6,
    max_jump=0.5,
    max_growth=1.5,
    risk=RiskRules(
        moire=(1.0, 2.0),
        irregular=(0.3, 0.5),
        flash=(0.2, -0.5),
        change=(0.02, 0.008),
        stillness=(0.004, 0.0005),
        rhythm=(0.9, 1.0),
    ),
    presence=PresenceRules(min_change=0.01, min_flash=0.1, cues=CUES),
)


def head_contours(action: Action | None = None) -> Contours:
    """The contours of the test engine's head, performing `action`."""
    engine = PatternEngine()
    picture = Picture.open(render_pattern(1, 0, action), DecodeLimits())
    (face,) = engine.detect(picture)
    contours = engine.find_contours(picture, face)
    assert contours is not None
    return contours


def map_points(contours: Contours, to: Callable[[Point], Point]) -> Contours:
    """Apply `to` to every point."""

    def each(outline: tuple[Point, ...]) -> tuple[Point, ...]:
        return tuple(to(point) for point in outline)

    return Contours(
        each(contours.left_eye),
        each(contours.right_eye),
        each(contours.mouth),
        to(contours.nose),
        each(contours.rigid),
    )
