"""The experiment of Duchi, Hazan and Singer's Table 1: online learning of sparse linear classifiers.

A quarter of the examples is held out. Six methods go through the others once, one example a step: RDA, FB, AdaGrad-RDA
and AdaGrad-FB with the hinge loss and an l1 penalty, PA and AROW without a penalty. Each takes the learning rate (PA
and AROW their aggressiveness C) with which it makes the fewest mistakes on the way, from a grid that is extended until
that rate lies inside. The penalty is the same for all that have one: it is chosen so that RDA, with its own best rate,
keeps about a tenth of the weights. Neither a rate nor a penalty that leaves no weight is chosen where there are others,
as a score of 0 is wrong whatever the label. The results are the error on the examples held out, and the share of the
weights that each method keeps, over several shuffles.

J. Duchi, E. Hazan, Y. Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", JMLR 12
(2011), 2121-2159, section 6.1.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.tables import CSR
from ..support import contents
from ..support.asking import path_text
from ..support.checks import checked_number, checked_share, whole_number
from ..support.log import logger
from ..support.plurals import plural
from .grid import as_rates
from .labelled_text import FEATURES, TEXT, as_csr, load_text
from .named_sources import load_examples, source_named
from .online_passes import CONTENDERS, Contender, Floats, Pass, Pool

RATES = tuple(10.0 ** (k / 2) for k in range(-6, 3))  # where the search begins
STEP = math.sqrt(10)  # ratio of neighbouring rates where the grid is extended
MOST_STEPS = 12  # of an extension, on each side
PENALTIES = tuple(10.0 ** (k / 2) for k in range(-14, 3))  # the penalty is searched for between two of these
HALVINGS = 8
CLOSE = 0.05  # relative difference from the wanted share of weights at which the search ends
DELTA = 1e-8
LEADER = "RDA"  # for which the penalty is chosen


@dataclass(frozen=True)
class Line:
    """The results of one method; arrays have an element for each shuffle.

    Attributes
    ----------
    method : str
    l1 : float
        The penalty; 0 for PA and AROW, which have none.
    rates, errors, nonzeros, mistakes : ndarray, shape (shuffles,)
        Learning rate, or C of PA and AROW; share of wrong answers on the examples held out; share of weights that are
        not 0; share of wrong answers during the pass, each before its update.
    at_end : ndarray of bool, shape (shuffles,)
        Whether the rate is the first or the last of its grid, so that one beyond it might do better.
    """

    method: str
    l1: float
    rates: Floats
    errors: Floats
    nonzeros: Floats
    mistakes: Floats
    at_end: NDArray[np.bool_]


@dataclass(frozen=True)
class Search:
    """How the best rate of a pass is searched for: among `rates`, beyond whose ends it goes on if `extended`."""

    pool: Pool
    rates: tuple[float, ...]
    extended: bool
    delta: float

    def best(self, contender: Contender, l1: float, order: NDArray[np.int64]) -> tuple[Pass, bool]:
        """The pass of the fewest mistakes, of several such the one with the lowest rate; and whether it is at an end.

        A pass that leaves no weight is the best only where all do. A rate is at the end of its grid only if it does
        better than its neighbour: where all rates of one side make the same mistakes, nothing would come of others.
        """
        passes = [self.pool.one_pass(contender, rate, l1, self.delta, order) for rate in self.rates]
        for side in (0, -1):
            for _ in range(MOST_STEPS if self.extended else 0):
                if not _better_at(passes, side):
                    break
                rate = passes[side].rate * (STEP if side else 1 / STEP)
                passes.insert(len(passes) if side else 0, self.pool.one_pass(contender, rate, l1, self.delta, order))
        found = min(passes, key=lambda each: (*_badness(each), each.rate))
        return found, any(found is passes[side] and _better_at(passes, side) for side in (0, -1))


def _badness(found: Pass) -> tuple[bool, int]:
    """What the best pass has least of: whether its model is empty, and its mistakes."""
    return found.nonzeros == 0, found.mistakes


def _better_at(passes: Sequence[Pass], side: int) -> bool:
    """Whether the pass at one end is better than all others, or the only one."""
    end = passes[side]
    return all(_badness(end) < _badness(each) for each in passes if each is not end)


def table1(
    source: str | os.PathLike[str],
    *,
    positive: str | None = None,
    shuffles: int = 4,
    held_out: float = 0.25,
    nonzeros: float = 0.1,
    rates: str | Sequence[float] | None = None,
    delta: float = DELTA,
    text: str | None = None,
    seed: int = 0,
    tell: Callable[[str], object] | None = None,
) -> list[Line]:
    """Run the experiment.

    Parameters
    ----------
    source : str or path
        A source that the command `fit` reads, as ``FILE:COLUMN`` if its columns have names; or text in a file whose
        name ends in .tsv, each line of which is a label, a tab and the example (needs the extra ``fit``).
    positive : str, optional
        The label that is to be told from all others, or a pattern that several labels match, as ``comp.*``. It is
        needed if there are more than two labels.
    shuffles : int
        Number of orders of the examples.
    held_out : float
        Share of the examples to hold out.
    nonzeros : float
        Share of the weights that RDA is to keep on the first shuffle. Of the penalties tried, the one that comes
        nearest to it is taken; a warning says if none comes near.
    rates : str or sequence of float, optional
        ``LOW:HIGH:N``, or the learning rates to choose from, and nothing beyond them. By default half powers of ten
        from 0.001 to 10, and for each method as many more as it takes for its best rate to lie inside.
    delta : float
        What the AdaGrad methods add to the root of the sum of squared gradients, `rms_regularizer` elsewhere.
    text : str, optional
        Features of a text, for a .tsv file only: ``"words"``, the default, 1 where an example has a word;
        ``"bigrams"``, as the paper has them, 1 where it has two words one after the other; or ``"tf-idf"``, words
        weighted by frequency and rarity, rows of length 1.
    seed : int
        Seed of the shuffles.
    tell : callable, optional
        It is called with a line of text for each part of the experiment that is done.

    Returns
    -------
    list of Line
        The results, a line for each method.

    Raises
    ------
    ValueError, TypeError, OSError
        If the source cannot be read, or does not have two classes.

    Examples
    --------
    >>> for line in table1("digits", positive="0", nonzeros=0.3, shuffles=2):
    ...     print(line.method, bool(line.errors.mean() < 0.04))
    RDA True
    FB True
    AdaGrad-RDA True
    AdaGrad-FB True
    PA True
    AROW True
    """
    shuffles, seed = whole_number("shuffles", shuffles, 1), whole_number("seed", seed, 0)
    held_out, nonzeros = checked_share("held_out", held_out), checked_share("nonzeros", nonzeros)
    delta, grid = checked_number("delta", delta), RATES if rates is None else as_rates(rates)
    if text is not None and text not in FEATURES:
        raise ValueError(f"text must be one of {', '.join(FEATURES)}, not {text!r}")
    source = path_text("source", source)
    features, labels = _read(source, positive, text)
    test = int(len(labels) * held_out)
    if test < 1:
        raise ValueError(f"{os.fspath(source)} has {len(labels)} examples, of which held_out={held_out} leaves none")
    search = Search(Pool(features, labels), grid, rates is None, delta)
    orders = [np.random.default_rng([seed, k]).permutation(len(labels)) for k in range(shuffles)]
    tell = tell or (lambda line: None)
    tell(f"looking for the penalty under which {LEADER} keeps {nonzeros:.0%} of the weights")
    l1 = _penalty(search, orders[0][test:], nonzeros)
    several = plural(shuffles, "shuffle")
    lines = []
    for contender in CONTENDERS:
        lines.append(_line(search, contender, l1 if contender.penalised else 0.0, orders, test))
        tell(f"{contender.name}: {several}, the best {'rate' if contender.penalised else 'C'} {_rates(lines[-1])}")
    _warn_of_ends(lines)
    return lines


def _line(search: Search, contender: Contender, l1: float, orders: Sequence[NDArray[np.int64]], test: int) -> Line:
    """The results of a method, of whose orders the first `test` examples are held out."""
    found = [search.best(contender, l1, order[test:]) for order in orders]
    passes = [each for each, _ in found]
    errors = [search.pool.error(each.weights, order[:test]) for each, order in zip(passes, orders, strict=True)]
    return Line(
        contender.name,
        l1,
        np.array([each.rate for each in passes]),
        np.array(errors),
        np.array([each.nonzeros for each in passes]),
        np.array([each.mistakes / (len(orders[0]) - test) for each in passes]),
        np.array([at_end for _, at_end in found]),
    )


def _penalty(search: Search, order: NDArray[np.int64], wanted: float) -> float:
    """The penalty, of all that are tried, under which the share of weights kept is nearest to the wanted one.

    One that leaves none is taken only where all do. Penalties are tried from low to high, as the share says little
    under a penalty so high that nothing is learned; then the interval is halved.
    """
    [leader] = (contender for contender in CONTENDERS if contender.name == LEADER)
    shares: dict[float, float] = {}

    def share_under(l1: float) -> float:
        shares[l1] = search.best(leader, l1, order)[0].nonzeros
        return shares[l1]

    high = next((l1 for l1 in PENALTIES if share_under(l1) <= wanted), PENALTIES[-1])
    low = max((l1 for l1 in shares if l1 < high), default=high)
    for _ in range(HALVINGS):
        if min(abs(share - wanted) for share in shares.values()) <= CLOSE * wanted:
            break
        middle = math.sqrt(low * high)
        low, high = (middle, high) if share_under(middle) > wanted else (low, middle)
    nearest = min(shares, key=lambda l1: (shares[l1] == 0, abs(shares[l1] - wanted)))
    if abs(shares[nearest] - wanted) > 2 * CLOSE * wanted:
        logger.warning(
            "no penalty was found under which %s keeps about %.3g of the weights: with l1 = %.3g, the nearest, it "
            "keeps %.3g (from %.3g to %.3g with others)",
            *(LEADER, wanted, nearest, shares[nearest], min(shares.values()), max(shares.values())),
        )
    return nearest


def _warn_of_ends(lines: Sequence[Line]) -> None:
    ends = [line.method for line in lines if line.at_end.any()]
    if ends:
        logger.warning("the best rate is at an end of its grid, so that a wider one may do better: %s", ", ".join(ends))


def _read(source: str | os.PathLike[str], positive: str | None, text: str | None) -> tuple[CSR, Floats]:
    """Features, without columns that are always 0, and labels of -1 and 1."""
    if contents.suffix_of(source) == TEXT:
        features, found = load_text(source, text or FEATURES[0])
    else:
        if text is not None:
            raise ValueError(
                f"text says what the features of a text are, of a {TEXT} file, but {os.fspath(source)} is none: "
                f"leave it out, not {text!r}"
            )
        table = load_examples(source_named(os.fspath(source)), np.float64)
        features, found = as_csr(table.features), table.labels
    return _without_empty_columns(features), _two_classes(os.fspath(source), found, positive)


def _without_empty_columns(features: CSR) -> CSR:
    """The features without columns that are always 0: shares are of the weights that could be other than 0."""
    used, indices = np.unique(features.indices, return_inverse=True)
    return features._replace(indices=indices.astype(np.int32), shape=(features.shape[0], len(used)))


def _two_classes(name: str, labels: NDArray[Any], positive: str | None) -> Floats:
    """1 for labels that are `positive` or, if none is, match it as a pattern, and -1 for all others."""
    classes, places = np.unique(labels, return_inverse=True)
    spelt = [f"{label:g}" if isinstance(label, float | int) else str(label) for label in classes.tolist()]
    if positive is None and len(classes) == 2:
        positive = spelt[1]
    if positive is None or positive in spelt:
        wanted = [label == positive for label in spelt]
    else:
        wanted = [fnmatchcase(label, positive) for label in spelt]
    if not any(wanted) or all(wanted):
        raise ValueError(
            f"{name} has the labels {', '.join(spelt[:10])}{', ...' if len(spelt) > 10 else ''}: "
            f"positive must be the one that is told from the others, or a pattern that some match, not {positive!r}"
        )
    return np.where(np.array(wanted)[places], 1.0, -1.0)


def text_of(lines: Sequence[Line]) -> str:
    """The table of results as text: means over the shuffles; if there are several, the error's standard deviation.

    Of the rates, the best of each shuffle, the lowest and the highest are shown, with an asterisk where one is at an
    end of its grid.
    """
    rates = [_rates(line) for line in lines]
    width = max(10, *map(len, rates))
    rows = [f"{'method':12} {'test error':>18} {'non-zeros':>10} {'mistakes':>9} {'rate or C':>{width}} {'l1':>9}"]
    for line, rate in zip(lines, rates, strict=True):
        error = f"{line.errors.mean():.4f}" + (f" +- {line.errors.std():.4f}" if line.errors.size > 1 else "")
        l1 = f"{line.l1:.3g}" if line.l1 else "-"
        shares = f"{line.nonzeros.mean():10.3f} {line.mistakes.mean():9.4f}"
        rows.append(f"{line.method:12} {error:>18} {shares} {rate:>{width}} {l1:>9}")
    if any(line.at_end.any() for line in lines):
        rows.append("* at an end of the grid: a wider one may do better")
    return "\n".join(rows)


def _rates(line: Line) -> str:
    """The lowest and the highest of the shuffles' best rates, or the only one; marked where one is at an end."""
    ends = dict.fromkeys((line.rates.min(), line.rates.max()))
    return " to ".join(f"{rate:.3g}{'*' if line.at_end[line.rates == rate].any() else ''}" for rate in ends)


def as_records(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """The lines in types that JSON has."""
    arrays = ("rates", "errors", "nonzeros", "mistakes", "at_end")
    return [{"method": x.method, "l1": x.l1, **{name: getattr(x, name).tolist() for name in arrays}} for x in lines]
