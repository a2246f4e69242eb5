"""Does a burst look like pictures that were used before? A reason for another challenge, never a refusal, never a miss.

Two signs: a frame whose perceptual hash nearly equals one that was kept, and a burst whose descriptor lies closer to a
kept one, or to the template, than two separate sittings do. Only descriptors of the same engine are compared.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from biometrics.engines.base import Descriptor, distance
from biometrics.matching.decision import FaceTemplate
from biometrics.pictures.fingerprints import hamming
from biometrics.pictures.quality import Reason

LIKE_EARLIER_PICTURE = Reason(
    "like_earlier_picture",
    "照片与以前用过的照片过于相似。请换一组动作，现场重新拍摄。",
    "The pictures are too much like ones that were used before. Take a new live series with other actions.",
)
LIKE_EARLIER_SELFIE = Reason(
    "like_earlier_selfie",
    "人脸与以前一次核验几乎完全一致。请换一组动作，现场重新拍摄。",
    "The face is almost exactly that of an earlier check-in. Take a new live series with other actions.",
)
LIKE_TEMPLATE = Reason(
    "like_enrolment",
    "人脸与采集照片几乎完全一致。请换一组动作，现场重新拍摄。",
    "The face is almost exactly that of the enrolment. Take a new live series with other actions.",
)


class Kept(Protocol):
    """What was kept of an accepted burst or of an enrolment."""

    @property
    def descriptor(self) -> Descriptor:
        """The mean of its frames."""

    @property
    def hashes(self) -> tuple[int, ...]:
        """`Fingerprint.phash`, one a frame."""


@dataclass(frozen=True, slots=True)
class ReuseRules:
    """From where likeness asks for a second look; both bounds inclusive."""

    max_hash_bits: int
    """Bits of 64 in which two perceptual hashes may differ and still be near duplicates."""
    min_like_frames: int
    """Frames that have a near duplicate before it counts: one steady frame in front of one wall is chance."""
    min_distance: float
    """Descriptors closer than this are closer than two sittings (engine's metric)."""


@dataclass(frozen=True, slots=True)
class ReuseSignals:
    """The reasons for a second look and the figures behind them."""

    reasons: tuple[Reason, ...]
    like_frames: int
    """Frames that have a near duplicate among what was kept."""
    nearest_selfie: float | None
    """Smallest distance to a kept descriptor; None when nothing comparable was kept."""
    to_template: float | None


def reuse_signals(
    probe: Descriptor | None,
    hashes: Sequence[int],
    kept: Iterable[Kept],
    template: FaceTemplate | None,
    rules: ReuseRules,
) -> ReuseSignals:
    """A burst's mean descriptor and its frames' perceptual hashes against everything kept of the same student."""
    earlier = list(kept)
    seen = {each for one in earlier for each in one.hashes}
    like = sum(any(hamming(each, old) <= rules.max_hash_bits for old in seen) for each in hashes)
    nearest, to_template = None, None
    if probe is not None:
        nearest = min(
            (distance(probe, one.descriptor) for one in earlier if one.descriptor.engine == probe.engine),
            default=None,
        )
        if template is not None and template.engine == probe.engine:
            to_template = distance(probe, template.descriptor())
    checks = (
        (like >= rules.min_like_frames, LIKE_EARLIER_PICTURE),
        (nearest is not None and nearest < rules.min_distance, LIKE_EARLIER_SELFIE),
        (to_template is not None and to_template < rules.min_distance, LIKE_TEMPLATE),
    )
    return ReuseSignals(tuple(reason for found, reason in checks if found), like, nearest, to_template)
