"""Which lesion of the earlier exam is which of the later: by overlap after registration, then by nearness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from marrowmap.data.errors import SettingsError

Points = npt.NDArray[np.float64]
#: Lesions of one exam: the middles of their voxels `(n, 3)` by id, all in one frame, in mm.
LesionPoints = Mapping[int, Points]


@dataclass(frozen=True, kw_only=True)
class MatchSettings:
    """When two outlines are one lesion.

    Attributes:
        touch_mm: Voxel middles this close overlap; about half a voxel's diagonal.
        share: Least overlap of two lesions that are each other's best partner, as a share of the smaller.
        joined_share: Least overlap, as a share of itself, of a lesion that joins a partner whose best is
            another: two lesions merging, one splitting.
        near_mm: Without overlap, the gap that registration may leave ...
        near_centre_mm: ... and the distance of the middles, or half the larger extent where that is more.
    """

    touch_mm: float = 2.2
    share: float = 0.15
    joined_share: float = 0.5
    near_mm: float = 5.0
    near_centre_mm: float = 8.0

    def __post_init__(self) -> None:
        """Refuse distances and shares that mean nothing.

        Raises:
            SettingsError: If one is not above 0.
        """
        for name, value in vars(self).items():
            if value <= 0:
                raise SettingsError(f"need a {name} above 0 to match lesions, found {value}")


@dataclass(frozen=True, kw_only=True)
class LesionMatch:
    """Lesions of two exams that are one: usually one of each, none where it is new or gone.

    Attributes:
        before: Ids in the earlier exam, ascending.
        after: Ids in the later.
    """

    before: tuple[int, ...] = field(default=())
    after: tuple[int, ...] = field(default=())


def match_lesions(
    before: LesionPoints, after: LesionPoints, settings: MatchSettings | None = None
) -> tuple[LesionMatch, ...]:
    """Match the lesions of two exams.

    Args:
        before: Lesions of the earlier exam, already moved to where the later exam has them.
        after: Lesions of the later exam.
        settings: When two are one.

    Returns:
        Every lesion in exactly one match: matched ones first by earlier id, then gone, then new ones.
    """
    settings = settings or MatchSettings()
    first, second = sorted(before), sorted(after)
    edges = _overlap_edges(before, after, first, second, settings)
    edges |= _near_edges(before, after, first, second, edges, settings)
    count = len(first) + len(second)
    if not count:
        return ()
    rows, columns = zip(*edges, strict=True) if edges else ((), ())
    links = coo_matrix((np.ones(len(rows)), (rows, [len(first) + c for c in columns])), shape=(count, count))
    _, group = connected_components(links, directed=False)
    matches: dict[int, tuple[list[int], list[int]]] = {}
    for place, number in enumerate(group.tolist()):
        sides = matches.setdefault(number, ([], []))
        if place < len(first):
            sides[0].append(first[place])
        else:
            sides[1].append(second[place - len(first)])
    found = [LesionMatch(before=tuple(a), after=tuple(b)) for a, b in matches.values()]
    return tuple(sorted(found, key=lambda m: (not (m.before and m.after), not m.before, m.before, m.after)))


def _overlap_edges(
    before: LesionPoints,
    after: LesionPoints,
    first: list[int],
    second: list[int],
    settings: MatchSettings,
) -> set[tuple[int, int]]:
    """Return pairs of positions that overlap enough."""
    of_first, of_second = _shares(before, after, first, second, settings.touch_mm)
    either = np.maximum(of_first, of_second)
    edges = set()
    for a, b in np.argwhere(either >= settings.share).tolist():
        is_best_of_a = of_first[a, b] >= of_first[a].max()
        is_best_of_b = of_second[a, b] >= of_second[:, b].max()
        is_joined = (is_best_of_a and of_first[a, b] >= settings.joined_share) or (
            is_best_of_b and of_second[a, b] >= settings.joined_share
        )
        if (is_best_of_a and is_best_of_b) or is_joined:
            edges.add((a, b))
    return edges


def _shares(
    before: LesionPoints, after: LesionPoints, first: list[int], second: list[int], touch_mm: float
) -> tuple[Points, Points]:
    """Return for each pair the share of the first that touches the second, and of the second the first."""
    of_first, of_second = np.zeros((len(first), len(second))), np.zeros((len(first), len(second)))
    if not first or not second:
        return of_first, of_second
    _fill(of_first, [before[n] for n in first], [after[n] for n in second], touch_mm)
    _fill(of_second.T, [after[n] for n in second], [before[n] for n in first], touch_mm)
    return of_first, of_second


def _fill(shares: Points, of: list[Points], with_: list[Points], touch_mm: float) -> None:
    """Set `shares[a, b]` to the part of `of[a]` that lies within a distance of `with_[b]`."""
    tree = KDTree(np.concatenate(with_))
    owner = np.repeat(np.arange(len(with_)), [len(points) for points in with_])
    for a, points in enumerate(of):
        distance, nearest = tree.query(points, distance_upper_bound=touch_mm)
        touched = owner[np.asarray(nearest)[np.isfinite(distance)]]
        shares[a] += np.bincount(touched, minlength=len(with_)) / len(points)


def _near_edges(
    before: LesionPoints,
    after: LesionPoints,
    first: list[int],
    second: list[int],
    edges: set[tuple[int, int]],
    settings: MatchSettings,
) -> set[tuple[int, int]]:
    """Return pairs that lie close and have no partner by overlap, each with one at most, nearest first."""
    free_a = [a for a in range(len(first)) if a not in {edge[0] for edge in edges}]
    free_b = [b for b in range(len(second)) if b not in {edge[1] for edge in edges}]
    if not free_a or not free_b:
        return set()
    far = 1e6
    cost = np.full((len(free_a), len(free_b)), far)
    for row, a in enumerate(free_a):
        for column, b in enumerate(free_b):
            one, other = before[first[a]], after[second[b]]
            centres = float(np.linalg.norm(one.mean(axis=0) - other.mean(axis=0)))
            extent = float(max(np.ptp(one, axis=0).max(), np.ptp(other, axis=0).max()))
            if centres <= max(settings.near_centre_mm, extent / 2) and _gap(one, other) <= settings.near_mm:
                cost[row, column] = centres
    chosen = zip(*linear_sum_assignment(cost), strict=True)
    return {(free_a[row], free_b[column]) for row, column in chosen if cost[row, column] < far}


def _gap(one: Points, other: Points) -> float:
    """Return the least distance between two sets of points."""
    return float(KDTree(other).query(one)[0].min())
