"""Intervals of medians, and the paired test by which two methods are compared.

The test is that of F. Wilcoxon, "Individual Comparisons by Ranking Methods", Biometrics Bulletin 1 (1945). Where one
method is compared with several, the correction is that of S. Holm, "A Simple Sequentially Rejective Multiple Test
Procedure", Scandinavian Journal of Statistics 6 (1979).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..support.extras import needed

RESAMPLES, LEVEL = 2000, 0.95
LEAST_PAIRS = 6  # with fewer the test cannot give a p below 0.05
SURE = 0.05


def medians(values: Any) -> Any:
    """Medians along the last axis of an array, in which there may be infinities of one sign."""
    ordered = np.sort(values, axis=-1)
    middle = (ordered.shape[-1] - 1) / 2
    return (ordered[..., math.floor(middle)] + ordered[..., math.ceil(middle)]) / 2


def interval(groups: Sequence[Any]) -> tuple[float | None, float | None]:
    """A percentile bootstrap interval of the median of all values.

    Parameters
    ----------
    groups : sequence of arrays of float
        The values of each problem, one for each seed. Seeds are drawn anew for each problem, RESAMPLES times, by a
        generator with a fixed seed.

    Returns
    -------
    tuple of two floats, or of two None
        Lower and upper end; None where no problem has more than one value.
    """
    if max((len(group) for group in groups), default=0) < 2:
        return None, None
    rng = np.random.default_rng(0)
    drawn = [group[rng.integers(len(group), size=(RESAMPLES, len(group)))] for group in groups if len(group)]
    found = np.sort(medians(np.concatenate(drawn, axis=1)))
    aside = round(RESAMPLES * (1 - LEVEL) / 2)
    return float(found[aside]), float(found[-1 - aside])


def wilcoxon(differences: Any) -> float | None:
    """Two-sided p of Wilcoxon's signed rank test that differences are as often and as far above 0 as below.

    Differences of 0 have a rank, and half of it counts on each side. None with fewer than LEAST_PAIRS.
    """
    if differences.size < LEAST_PAIRS:
        return None
    if not differences.any():
        return 1.0
    stats = needed("scipy.stats", "the paired test of a comparison")
    return float(stats.wilcoxon(differences, zero_method="zsplit").pvalue)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Each p, corrected by Holm for there being several; None stays None.

    Examples
    --------
    >>> from fastadagrad.compare.significance import holm
    >>> holm([0.01, 0.25, None, 0.02])
    [0.03, 0.25, None, 0.04]
    """
    order = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    found: list[float | None] = [None] * len(p_values)
    least = 0.0
    for place, (p, i) in enumerate(order):
        least = max(least, min(1.0, p * (len(order) - place)))
        found[i] = least
    return found
