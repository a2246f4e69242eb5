"""Detects the re-use of earlier pictures. A finding leads to another challenge, never to a refusal or a miss.

Two signs: a frame whose perceptual hash nearly equals a stored one, and a burst whose descriptor is closer to a stored
one, or to the template, than two separate sessions usually are. Only descriptors of the same engine are compared.
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


class StoredSelfie(Protocol):
    """Stored data of an accepted burst or of an enrolment."""

    @property
    def descriptor(self) -> Descriptor:
        """The mean descriptor of its frames."""

    @property
    def hashes(self) -> tuple[int, ...]:
        """`Fingerprint.phash` of each frame."""


@dataclass(frozen=True, slots=True)
class ReuseRules:
    """Bounds from which similarity requires a second look; both inclusive."""

    max_hash_bits: int
    """Perceptual hashes are near duplicates if they differ in at most so many of 64 bits."""
    min_like_frames: int
    """Frames that must have a near duplicate: a single match can be chance, such as the same wall behind the face."""
    min_distance: float
    """Descriptors closer than this are closer than two separate sessions (in the engine's metric)."""


@dataclass(frozen=True, slots=True)
class ReuseSignals:
    """The reasons for a second look, with the measured figures."""

    reasons: tuple[Reason, ...]
    like_frames: int
    """Frames that have a near duplicate among the stored hashes."""
    nearest_selfie: float | None
    """Smallest distance to a stored descriptor; None if there is no comparable one."""
    to_template: float | None


def reuse_signals(
    probe: Descriptor | None,
    hashes: Sequence[int],
    stored: Iterable[StoredSelfie],
    template: FaceTemplate | None,
    rules: ReuseRules,
) -> ReuseSignals:
    """Compare a burst's mean descriptor and perceptual hashes with everything stored for the same student."""
    selfies = list(stored)
    known_hashes = {each for selfie in selfies for each in selfie.hashes}
    like = sum(any(hamming(each, known) <= rules.max_hash_bits for known in known_hashes) for each in hashes)
    nearest, to_template = None, None
    if probe is not None:
        nearest = min(
            (
                distance(probe, selfie.descriptor)
                for selfie in selfies
                if selfie.descriptor.engine == probe.engine
            ),
            default=None,
        )
        if template is not None and template.engine == probe.engine:
            to_template = distance(probe, template.descriptor())
    checks = (
        (like >= rules.min_like_frames, LIKE_EARLIER_PICTURE),
        (nearest is not None and nearest < rules.min_distance, LIKE_EARLIER_SELFIE),
        (to_template is not None and to_template < rules.min_distance, LIKE_TEMPLATE),
    )
    return ReuseSignals(tuple(reason for applies, reason in checks if applies), like, nearest, to_template)
