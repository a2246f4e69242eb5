"""Learns the thresholds of a deployment from its own people: the rule of ADR 17.

Everyone's template is compared with the probes of all other people of the same school, sex and age group. Such pairs
are what a stand-in would try, and they score higher than pairs across groups. Above its upper 5 % the distribution of
arctanh(score) falls about exponentially (Pickands 1975: excesses over a high threshold), so the fit extrapolates to
rates that the few pairs of a school cannot show. Scores of one person are not independent (Doddington et al. 1998, the
"lambs" and "wolves"), so people are resampled, not pairs, on both sides of the comparison. The threshold is the upper
end of the resampled values, and the strictest group counts for all.

Rates are named as in ISO/IEC 19795-1. Nothing here decides what to do with a threshold.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from biometrics.errors import BiometricsError
from biometrics.matching.calibration import Ints

Scores = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating]

_LARGEST = 1 - 1e-6
"""Scores are cut here, because arctanh of 1 is infinite. Only a copy of a template scores higher."""
_SHORTEST = 1e-9
"""A vector below this length has no direction."""
_KEPT_SHARES = 3
"""The highest scores of a group that are resampled, as a multiple of the tail: resampled people move the tail."""
_ALL_KEPT = 100_000
"""Up to so many pairs all scores are resampled."""
_MAX_PAIRS = 1_000_000
"""A group with more pairs is sampled: the result changes by less than its interval."""
_MIN_TAIL = 30
"""Fewer scores in the tail fit no distribution."""
_Z95 = 1.959964


class LearningImpossible(BiometricsError):
    """The samples allow no threshold."""

    code = "face_learning_impossible"
    status = 422
    zh = "无法从现有样本得出人脸阈值：{reason}。请先组织演练并由辅导员确认，再重新统计。"
    en = "No face threshold can be learned from these samples: {reason}. Run and confirm rehearsals, then learn again."


@dataclass(frozen=True, slots=True)
class LearningRules:
    """The figures of the rule. All of them are policy, except the number of resamples."""

    minimum: int
    """People in a group below which it has no threshold."""
    fmr: float = 1e-3
    refuse_fmr: float = 1e-2
    """The FMR at whose threshold a face may be refused, if genuine scores do not require a lower one."""
    refuse_quantile: float = 0.005
    """The quantile of genuine scores below which a face may be refused."""
    tail: float = 0.05
    confidence: float = 0.95
    resamples: int = 300

    def __post_init__(self) -> None:
        rates = (self.fmr, self.refuse_fmr, self.refuse_quantile, self.tail, self.confidence)
        if not all(0 < rate < 1 for rate in rates) or self.minimum < 2 or self.resamples < 1:  # noqa: PLR2004 - a pair
            raise LearningImpossible(reason=f"figures out of range: {self}")
        if not self.fmr <= self.refuse_fmr <= self.tail:
            raise LearningImpossible(reason="fmr <= refuse_fmr <= tail does not hold")


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFaces:
    """People with a template and at least one probe, the mean of a few pictures of another day.

    `templates[i]`, `school[i]` and `group[i]` belong to person i; `probes[j]` to person `owner[j]`. Vectors are
    already centred, if the method centres them.
    """

    templates: Floats
    school: Ints
    group: Sequence[str]
    probes: Floats
    owner: Ints

    def __post_init__(self) -> None:
        people, probes = len(self.templates), len(self.probes)
        if self.templates.ndim != 2 or self.probes.ndim != 2 or not people or not probes:  # noqa: PLR2004 - a matrix
            raise LearningImpossible(reason="no templates or no probes")
        if len(self.school) != people or len(self.group) != people or len(self.owner) != probes:
            raise LearningImpossible(reason="the numbers of rows differ")
        if self.templates.shape[1] != self.probes.shape[1]:
            raise LearningImpossible(reason="templates and probes have different dimensions")
        if not set(self.owner.tolist()) <= set(range(people)):
            raise LearningImpossible(reason="a probe of a person without a template")
        for vectors in (self.templates, self.probes):
            if not np.isfinite(vectors).all() or (np.linalg.norm(vectors, axis=1) < _SHORTEST).any():
                raise LearningImpossible(reason="a vector is not finite or has no length")


@dataclass(frozen=True, slots=True)
class Share:
    """A share of people or scores with its 95 % interval (Wilson 1927)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class GenuineShares:
    """What happens to genuine probes at the thresholds in force; intervals are over people."""

    people: int
    accepted: Share
    doubtful: Share
    refused: Share


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """One group: its people, what its pairs showed, and how its genuine probes fare."""

    group: str
    people: int
    probes: int
    pairs: int
    estimate: float | None
    """The threshold for the FMR as fitted; None for a group that is too small."""
    bound: float | None
    """The upper end of its interval, which counts; None for a group that is too small."""
    refuse_estimate: float | None
    alike: int
    """Pairs that score as high as the median genuine one: twins, or one person under two names. They stay in."""
    genuine: GenuineShares | None = None


@dataclass(frozen=True, slots=True)
class LearnedThresholds:
    """Thresholds for all groups with figures, the strictest first; `schools` raise their own."""

    accept_from: float
    reject_below: float
    groups: tuple[GroupFigures, ...]
    too_small: tuple[GroupFigures, ...]
    schools: dict[int, float]
    """Schools whose own people require a higher threshold, by number."""
    people: int
    probes: int


def learn_thresholds(faces: LabelledFaces, rules: LearningRules, *, seed: int = 1) -> LearnedThresholds:
    """Thresholds at which strangers of one group pass at most at the FMR, with the confidence of the rules.

    The same samples and seed give the same result. Raises LearningImpossible if no group is large enough.
    """
    templates, probes = _directions(faces.templates), _directions(faces.probes)
    directed = LabelledFaces(templates, faces.school, faces.group, probes, faces.owner)
    genuine = np.einsum("ij,ij->i", templates[faces.owner], probes)
    typical = float(np.median(genuine))
    names = np.asarray(faces.group)
    figures = [
        _form_group(directed, names == name, name, rules, seed).figures(
            rules, typical, np.random.default_rng(seed)
        )
        for name in sorted(set(faces.group))
    ]
    proven = [each for each in figures if each.bound is not None]
    if not proven:
        largest = max(each.people for each in figures)
        raise LearningImpossible(reason=f"the largest group has {largest} people of {rules.minimum}")
    accept = max(each.bound for each in proven if each.bound is not None)
    refuse = min(each.refuse_estimate for each in proven if each.refuse_estimate is not None)
    refuse = min(refuse, float(np.quantile(genuine, rules.refuse_quantile)), accept)
    shares = [_with_genuine(directed, each, genuine, accept, refuse) for each in proven]
    return LearnedThresholds(
        accept_from=accept,
        reject_below=refuse,
        groups=tuple(sorted(shares, key=lambda each: -(each.bound or 0.0))),
        too_small=tuple(each for each in figures if each.bound is None),
        schools=_raise_schools(directed, rules, accept, seed),
        people=len(templates),
        probes=len(probes),
    )


def measure_genuine(
    scores: Floats, owner: Ints, accept_from: float, reject_below: float
) -> GenuineShares | None:
    """The shares of genuine scores that are accepted, doubtful and refused; None without scores.

    Each person counts once, with the mean over their probes.
    """
    if not len(scores):
        return None
    _, place = np.unique(owner, return_inverse=True)
    each = np.bincount(place)
    people = len(each)
    accepted = np.bincount(place, scores >= accept_from) / each
    refused = np.bincount(place, scores < reject_below) / each
    return GenuineShares(
        people,
        wilson(float(accepted.mean()), people),
        wilson(float((1 - accepted - refused).mean()), people),
        wilson(float(refused.mean()), people),
    )


def wilson(share: float, number: int) -> Share:
    """A share of a number of independent cases with its 95 % interval, also where it is 0 or 1 (Wilson 1927)."""
    share = min(1.0, max(0.0, share))
    wide = _Z95**2 / number
    middle = (share + wide / 2) / (1 + wide)
    half = math.sqrt(share * (1 - share) / number + wide / (4 * number)) * _Z95 / (1 + wide)
    return Share(share, max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)))


def _directions(vectors: Floats) -> Floats:
    directions: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return directions


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """People who are compared with each other, the scores of their pairs, and the tail unless there are too few."""

    name: str
    people: int
    probes: int
    pairs: "_Pairs"
    tail: "_Tail | None"

    def estimate(self, fmr: float) -> float | None:
        """The threshold for the FMR, as fitted to everyone."""
        return None if self.tail is None else self.tail.threshold(np.ones(self.pairs.people), fmr)

    def bound(self, rules: LearningRules, random: np.random.Generator) -> float | None:
        """The upper end of the interval of that threshold, over resampled people."""
        if self.tail is None:
            return None
        people = self.pairs.people
        draws = (random.integers(0, people, people) for _ in range(rules.resamples))
        values = [
            self.tail.threshold(np.bincount(drawn, minlength=people).astype(np.float64), rules.fmr)
            for drawn in draws
        ]
        return float(np.quantile(values, rules.confidence))

    def figures(self, rules: LearningRules, typical: float, random: np.random.Generator) -> GroupFigures:
        """The group's part of the result; `typical` is the median genuine score of all groups."""
        return GroupFigures(
            group=self.name,
            people=self.people,
            probes=self.probes,
            pairs=len(self.pairs.scores),
            estimate=self.estimate(rules.fmr),
            bound=self.bound(rules, random),
            refuse_estimate=self.estimate(rules.refuse_fmr),
            alike=int((self.pairs.scores >= typical).sum()),
        )


def _form_group(
    faces: LabelledFaces, chosen: npt.NDArray[np.bool_], name: str, rules: LearningRules, seed: int
) -> _Group:
    """The chosen people as a group; without a tail if there are too few of them, or too few pairs within schools."""
    seen = np.intersect1d(np.flatnonzero(chosen), faces.owner)
    probes = int(np.isin(faces.owner, seen).sum())
    pairs = _impostor_pairs(faces, _sample_people(faces.school, seen, np.random.default_rng(seed)))
    enough = len(seen) >= rules.minimum and len(pairs.scores) * rules.tail >= _MIN_TAIL
    return _Group(name, len(seen), probes, pairs, _Tail(pairs, rules.tail) if enough else None)


def _with_genuine(
    faces: LabelledFaces, figures: GroupFigures, genuine: Floats, accept: float, refuse: float
) -> GroupFigures:
    own = np.asarray(faces.group)[faces.owner] == figures.group
    shares = measure_genuine(genuine[own], faces.owner[own], accept, refuse)
    return replace(figures, genuine=shares)


def _raise_schools(faces: LabelledFaces, rules: LearningRules, accept: float, seed: int) -> dict[int, float]:
    """Higher thresholds of schools whose own estimate is above that of all: lookalikes are more frequent there.

    The bound of a school alone is wider than that of all, so it counts only where the estimate asks for it.
    """
    raised: dict[int, float] = {}
    groups = np.asarray(faces.group)
    for school in np.unique(faces.school):
        for name in np.unique(groups[faces.school == school]):
            chosen = (faces.school == school) & (groups == name)
            if chosen.sum() < rules.minimum:
                continue
            group = _form_group(faces, chosen, str(name), rules, seed)
            estimate = group.estimate(rules.fmr)
            if estimate is not None and estimate > accept:
                bound = group.bound(rules, np.random.default_rng(seed)) or estimate
                raised[int(school)] = max(bound, raised.get(int(school), accept))
    return raised


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Impostor scores within schools; `one` and `other` number the people of the template and of the probe."""

    scores: Scores
    one: Ints
    other: Ints
    school: Ints
    """The school of each person, numbered from 0."""
    probes: Ints
    """The number of probes of each person."""

    @property
    def people(self) -> int:
        return len(self.school)

    def weight(self, drawn: Scores) -> float:
        """The number of pairs with each person counted as often as drawn."""
        templates = np.bincount(self.school, drawn)
        probes = np.bincount(self.school, drawn * self.probes)
        return float((templates * probes).sum() - (drawn**2 * self.probes).sum())


def _sample_people(school: Ints, members: Ints, random: np.random.Generator) -> Ints:
    """All members, or the same share of every school if they have too many pairs."""
    counts = np.unique(school[members], return_counts=True)[1]
    pairs = float((counts.astype(np.float64) ** 2).sum())
    if pairs <= _MAX_PAIRS:
        return members
    share = math.sqrt(_MAX_PAIRS / pairs)
    chosen = []
    for each in np.unique(school[members]):
        there = members[school[members] == each]
        kept = min(len(there), max(2, round(share * len(there))))
        chosen.append(np.sort(random.choice(there, kept, replace=False)))
    return np.concatenate(chosen)


def _impostor_pairs(faces: LabelledFaces, members: Ints) -> _Pairs:
    """Every template of the members against every probe of other members of its school."""
    scores, one, other = [np.zeros(0)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    number = np.full(len(faces.templates), -1, np.int64)
    number[members] = np.arange(len(members))
    for each in np.unique(faces.school[members]):
        there = members[faces.school[members] == each]
        probes = np.flatnonzero(np.isin(faces.owner, there))
        different = there[:, None] != faces.owner[probes][None, :]
        matrix = faces.templates[there].astype(np.float64) @ faces.probes[probes].T.astype(np.float64)
        left, right = np.nonzero(different)
        scores.append(matrix[different])
        one.append(number[there[left]])
        other.append(number[faces.owner[probes[right]]])
    return _Pairs(
        np.concatenate(scores),
        np.concatenate(one),
        np.concatenate(other),
        np.unique(faces.school[members], return_inverse=True)[1].astype(np.int64),
        np.bincount(faces.owner, minlength=len(faces.templates))[members],
    )


class _Tail:
    """The highest scores of a group, and thresholds fitted to them for any weights of its people."""

    def __init__(self, pairs: _Pairs, share: float) -> None:
        self._pairs, self._share = pairs, share
        kept = len(pairs.scores)
        if kept > _ALL_KEPT:
            kept = max(_ALL_KEPT, math.ceil(_KEPT_SHARES * share * kept))
        chosen = np.argpartition(-pairs.scores, kept - 1)[:kept]
        chosen = chosen[np.argsort(-pairs.scores[chosen], kind="stable")]
        self._heights = np.arctanh(np.clip(pairs.scores[chosen], -_LARGEST, _LARGEST))
        self._one, self._other = pairs.one[chosen], pairs.other[chosen]

    def threshold(self, drawn: Scores, fmr: float) -> float:
        """The score that impostors exceed at the rate `fmr`, with each person counted as often as drawn."""
        weights = drawn[self._one] * drawn[self._other]
        filled = np.cumsum(weights)
        total = self._pairs.weight(drawn)
        if not filled[-1]:  # only people of different schools were drawn
            return math.tanh(self._heights[0])
        last = min(int(np.searchsorted(filled, self._share * total)), len(filled) - 1)
        start, inside = float(self._heights[last]), float(filled[last])
        excess = float((weights[: last + 1] * (self._heights[: last + 1] - start)).sum()) / inside
        return math.tanh(start + excess * math.log(max(1.0, inside / total / fmr)))
