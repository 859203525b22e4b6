"""The experiment of Duchi, Hazan and Singer's Table 1: online learning of sparse linear classifiers.

A quarter of the examples is held out. Four methods go through the others once, one example a step, with the hinge loss
and an l1 penalty; each takes the learning rate with which it makes the fewest mistakes on the way. The penalty is the
same for all, as it is part of the problem: it is chosen so that AdaGrad-RDA keeps about a tenth of the weights. The
results are the error on the examples held out, and the share of the weights that each method keeps, over several
shuffles.

J. Duchi, E. Hazan, Y. Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", JMLR 12
(2011), 2121-2159, section 6.1.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from ..data.loading import load
from ..data.tables import CSR, refuse_weights
from ..engine.missed import moves_unnamed
from ..engine.options import Rule, Settings, make_settings
from ..engine.schedules import scalars_of_steps, sums_of_steps
from ..engine.state import begin_all
from ..kernels.linear.layouts import Sparse
from ..kernels.linear.losses import LOSSES
from ..kernels.linear.passes import make_loops
from ..kernels.linear.rates import Rates, RatesOfSteps
from ..kernels.linear.switch import Chosen
from ..kernels.linear.weight_arrays import Weights, make_weights, make_work
from ..kernels.rules import adagrad, adagrad_da, rda, sgd
from ..support import contents
from ..support.log import compilation
from .labelled_text import TEXT, as_csr, load_text

RATES = tuple(10.0 ** (k / 2) for k in range(-6, 3))
PENALTIES = tuple(10.0 ** (k / 2) for k in range(-14, 3))  # the penalty is searched for between two of these
HALVINGS = 6
CLOSE = 0.05  # relative difference from the wanted share of weights at which the search ends

LEADER = "AdaGrad-RDA"
HINGE = Chosen(LOSSES["hinge"].number, 0.0)

Floats = NDArray[np.float64]


class Contender(NamedTuple):
    """A method, and how a rate and a penalty become its hyperparameters."""

    name: str
    rule: Rule
    hyper: Callable[[float, float], dict[str, Any]]


CONTENDERS = (
    Contender("RDA", rda, lambda a, l1: {"learning_rate": a, "rda_l1": l1}),
    Contender("FB", sgd, lambda a, l1: {"learning_rate": lambda t: a / math.sqrt(t + 1), "l1": l1}),
    Contender("AdaGrad-RDA", adagrad_da, lambda a, l1: {"learning_rate": a, "rda_l1": l1}),
    Contender("AdaGrad-FB", adagrad, lambda a, l1: {"learning_rate": a, "l1": l1}),
)


@dataclass(frozen=True)
class Line:
    """The results of one method; arrays have an element for each shuffle.

    Attributes
    ----------
    method : str
    l1 : float
        The penalty.
    rates, errors, nonzeros, mistakes : ndarray, shape (shuffles,)
        Learning rate; share of wrong answers on the examples held out; share of weights that are not 0; share of wrong
        answers during the pass, each before its update.
    """

    method: str
    l1: float
    rates: Floats
    errors: Floats
    nonzeros: Floats
    mistakes: Floats


class _Pass(NamedTuple):
    rate: float
    mistakes: int
    weights: Floats


class _Pool:
    """Examples, and passes over them."""

    def __init__(self, features: CSR, labels: Floats) -> None:
        starts = features.indptr.view(np.uint64)
        self.examples = Sparse(features.data.astype(np.float64), features.indices.view(np.uint32), starts, labels)
        self._features, self._longest = features.shape[1], int(np.diff(starts).max(initial=0))

    def best_pass(self, contender: Contender, l1: float, order: NDArray[np.int64], rates: Sequence[float]) -> _Pass:
        """The pass with the rate of the fewest mistakes; of several such rates, the lowest."""
        passes = (self.one_pass(contender, rate, l1, order) for rate in sorted(rates))
        return min(passes, key=lambda each: each.mistakes)

    def one_pass(self, contender: Contender, rate: float, l1: float, order: NDArray[np.int64]) -> _Pass:
        settings, _ = make_settings(contender.rule, contender.hyper(rate, l1))
        weights, no_intercept = (self._fresh(*shape, settings) for shape in (("sparse", self._features), ("dense", 1)))
        exact = moves_unnamed(settings)
        loop = make_loops(
            cast(Any, settings.form),
            settings.motion,
            settings.lean,
            "sparse",
            False,
            exact,
            weights.p.dtype,
            timed=settings.scheduled,
            intercept=False,
            mistakes=True,
        ).online
        work = make_work(weights, self._longest, online=True, exact=exact)
        arguments = weights, no_intercept, _rates(settings, len(order)), work
        with compilation(loop, "the online loop"):
            mistakes = loop(HINGE, self.examples, order, *arguments)
        return _Pass(rate, int(mistakes), weights.p.copy())

    @staticmethod
    def _fresh(layout: str, features: int, settings: Settings) -> Weights:
        weights = make_weights(layout, features, 0, len(settings.slots), np.dtype(np.float64))
        begin_all(weights.slots, settings, weights.p)
        return weights

    def error(self, weights: Floats, rows: NDArray[np.int64]) -> float:
        """Share of these examples that the weights get wrong; a score of 0 is wrong."""
        x, wrong = self.examples, 0
        for n in rows.tolist():
            span = slice(int(x.starts[n]), int(x.starts[n + 1]))
            wrong += x.values[span] @ weights[x.columns[span]] * x.labels[n] <= 0
        return float(wrong) / len(rows)


def _rates(settings: Settings, steps: int) -> Rates | RatesOfSteps:
    exact = np.array(settings.scalars(0))
    if not settings.scheduled:
        return Rates(exact, exact, exact)
    of_steps = scalars_of_steps(settings, 0, steps)
    with_one_before = np.concatenate([[exact], of_steps])
    return RatesOfSteps(with_one_before, with_one_before, exact, sums_of_steps(settings, of_steps))


def table1(
    source: str | os.PathLike[str],
    *,
    positive: str | None = None,
    shuffles: int = 4,
    held_out: float = 0.25,
    nonzeros: float = 0.1,
    rates: Sequence[float] = RATES,
    seed: int = 0,
    tell: Callable[[str], object] | None = None,
) -> list[Line]:
    """Run the experiment.

    Parameters
    ----------
    source : str or path
        A source that the command `fit` reads; or text in a file whose name ends in .tsv, each line of which is a label,
        a tab and the example (needs the extra ``fit``).
    positive : str, optional
        The label that is to be told from all others. It is needed if there are more than two labels.
    shuffles : int
        Number of orders of the examples.
    held_out : float
        Share of the examples to hold out.
    nonzeros : float
        Share of the weights that AdaGrad-RDA is to keep on the first shuffle. Of the penalties tried, the one that
        comes nearest to it is taken.
    rates : sequence of float
        Learning rates to choose from.
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
    ...     print(line.method, bool(line.errors.mean() < 0.02))
    RDA True
    FB True
    AdaGrad-RDA True
    AdaGrad-FB True
    """
    if shuffles < 1:
        raise ValueError(f"shuffles must be at least 1, not {shuffles}")
    for name, share in (("held_out", held_out), ("nonzeros", nonzeros)):
        if not 0 < share < 1:
            raise ValueError(f"{name} must be between 0 and 1, not {share}")
    if not rates or min(rates) <= 0:
        raise ValueError(f"rates must be positive learning rates to choose from, not {rates}")
    features, labels = _read(source, positive)
    if int(len(labels) * held_out) < 1:
        raise ValueError(f"{os.fspath(source)} has {len(labels)} examples, of which held_out={held_out} leaves none")
    pool, test = _Pool(features, labels), int(len(labels) * held_out)
    orders = [np.random.default_rng([seed, k]).permutation(len(labels)) for k in range(shuffles)]
    tell = tell or (lambda text: None)
    tell(f"looking for the penalty that leaves {nonzeros:.0%} of the weights")
    l1 = _penalty(pool, orders[0][test:], rates, nonzeros)
    lines = []
    for contender in CONTENDERS:
        tell(f"{contender.name}: {shuffles} shuffle{'s' if shuffles > 1 else ''}, {len(rates)} rates")
        passes = [pool.best_pass(contender, l1, order[test:], rates) for order in orders]
        lines.append(
            Line(
                contender.name,
                l1,
                np.array([each.rate for each in passes]),
                np.array([pool.error(each.weights, order[:test]) for each, order in zip(passes, orders, strict=True)]),
                np.array([np.count_nonzero(each.weights) / each.weights.size for each in passes]),
                np.array([each.mistakes / (len(labels) - test) for each in passes]),
            )
        )
    return lines


def _penalty(pool: _Pool, order: NDArray[np.int64], rates: Sequence[float], wanted: float) -> float:
    """The penalty, of all that are tried, under which the share of weights kept is nearest to the wanted one.

    Penalties are tried from low to high, as the share says little under a penalty so high that nothing is learned; then
    the interval is halved.
    """
    [leader] = (contender for contender in CONTENDERS if contender.name == LEADER)
    shares: dict[float, float] = {}

    def share_under(l1: float) -> float:
        weights = pool.best_pass(leader, l1, order, rates).weights
        shares[l1] = np.count_nonzero(weights) / weights.size
        return shares[l1]

    high = next((l1 for l1 in PENALTIES if share_under(l1) <= wanted), PENALTIES[-1])
    low = max((l1 for l1 in shares if l1 < high), default=high)
    for _ in range(HALVINGS):
        if min(abs(share - wanted) for share in shares.values()) <= CLOSE * wanted:
            break
        middle = math.sqrt(low * high)
        low, high = (middle, high) if share_under(middle) > wanted else (low, middle)
    return min(shares, key=lambda l1: abs(shares[l1] - wanted))


def _read(source: str | os.PathLike[str], positive: str | None) -> tuple[CSR, Floats]:
    """Features, without columns that are always 0, and labels of -1 and 1."""
    if contents.suffix_of(source) == TEXT:
        features, found = load_text(source)
    else:
        table = refuse_weights(load(source, dtype=np.float64))
        features, found = as_csr(table.features), table.labels
    return _without_empty_columns(features), _two_classes(os.fspath(source), found, positive)


def _without_empty_columns(features: CSR) -> CSR:
    """The features without columns that are always 0: shares are of the weights that could be other than 0."""
    used, indices = np.unique(features.indices, return_inverse=True)
    return features._replace(indices=indices.astype(np.int32), shape=(features.shape[0], len(used)))


def _two_classes(name: str, labels: NDArray[Any], positive: str | None) -> Floats:
    classes = np.unique(labels)
    spelt = [f"{label:g}" if isinstance(label, float | int) else str(label) for label in classes.tolist()]
    if positive is None and len(classes) == 2:
        positive = spelt[1]
    if positive not in spelt or len(classes) < 2:
        raise ValueError(
            f"{name} has the labels {', '.join(spelt[:10])}{', ...' if len(spelt) > 10 else ''}: "
            f"positive must be the one that is told from the others, not {positive!r}"
        )
    return np.where(labels == classes[spelt.index(positive)], 1.0, -1.0)


def text_of(lines: Sequence[Line]) -> str:
    """The table of results as text: means over the shuffles; if there are several, the error's standard deviation."""
    rows = [f"{'method':12} {'test error':>18} {'non-zeros':>10} {'mistakes':>9} {'rate':>9} {'l1':>9}"]
    for line in lines:
        error = f"{line.errors.mean():.4f}" + (f" +- {line.errors.std():.4f}" if line.errors.size > 1 else "")
        rows.append(
            f"{line.method:12} {error:>18} {line.nonzeros.mean():10.3f} {line.mistakes.mean():9.4f} "
            f"{np.median(line.rates):9.3g} {line.l1:9.3g}"
        )
    return "\n".join(rows)


def as_records(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """The lines in types that JSON has."""
    arrays = ("rates", "errors", "nonzeros", "mistakes")
    return [{"method": x.method, "l1": x.l1, **{name: getattr(x, name).tolist() for name in arrays}} for x in lines]
