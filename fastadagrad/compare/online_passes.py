"""Online passes of the experiment `table1`: one method, one rate, one pass over the examples, from weights of 0.

Each method of the AdaGrad paper's Table 1 is a `Contender`. Those with a penalty are methods of the library, whose
compiled loops for linear models make the pass; PA and AROW, which have none, choose their steps themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from ..data.tables import CSR
from ..engine.missed import moves_unnamed
from ..engine.options import Rule, Settings, make_settings
from ..engine.schedules import scalars_of_steps, sums_of_steps
from ..engine.state import begin_all
from ..kernels.linear.layouts import Sparse
from ..kernels.linear.losses import LOSSES
from ..kernels.linear.passes import make_loops
from ..kernels.linear.passive_aggressive import make_arow, make_passive_aggressive
from ..kernels.linear.rates import Rates, RatesOfSteps
from ..kernels.linear.switch import Chosen
from ..kernels.linear.weight_arrays import Weights, make_weights, make_work
from ..kernels.rules import adagrad, adagrad_da, rda, sgd
from ..support.log import compilation

HINGE = Chosen(LOSSES["hinge"].number, 0.0)

Floats = NDArray[np.float64]
Hyper = Callable[[float, float, float], dict[str, Any]]


class Contender(NamedTuple):
    """A method of the experiment; `hyper` makes its hyperparameters of a rate, a penalty and delta.

    `hyper` is None for a method without a penalty, whose rate is the aggressiveness C.
    """

    name: str
    rule: Rule | None
    hyper: Hyper | None

    @property
    def penalised(self) -> bool:
        """Whether the method has the l1 penalty."""
        return self.hyper is not None


def _of_delta(name: str) -> Hyper:
    return lambda a, l1, delta: {"learning_rate": a, name: l1, "rms_regularizer": delta}


CONTENDERS = (
    Contender("RDA", rda, lambda a, l1, delta: {"learning_rate": a, "rda_l1": l1}),
    Contender("FB", sgd, lambda a, l1, delta: {"learning_rate": lambda t: a / math.sqrt(t + 1), "l1": l1}),
    Contender("AdaGrad-RDA", adagrad_da, _of_delta("rda_l1")),
    Contender("AdaGrad-FB", adagrad, _of_delta("l1")),
    Contender("PA", None, None),
    Contender("AROW", None, None),
)


class Pass(NamedTuple):
    """The result of a pass."""

    rate: float
    mistakes: int  # wrong answers on the way, each before the update of its example
    weights: Floats

    @property
    def nonzeros(self) -> float:
        """Share of the weights that are not 0; a model that has none is empty."""
        return np.count_nonzero(self.weights) / self.weights.size


class Pool:
    """Examples with labels of -1 and 1, and passes over them."""

    def __init__(self, features: CSR, labels: Floats) -> None:
        starts = features.indptr.view(np.uint64)
        self.examples = Sparse(features.data.astype(np.float64), features.indices.view(np.uint32), starts, labels)
        self._features, self._longest = features.shape[1], int(np.diff(starts).max(initial=0))

    def one_pass(self, contender: Contender, rate: float, l1: float, delta: float, order: NDArray[np.int64]) -> Pass:
        """Go once through the examples in this order."""
        if contender.hyper is None:
            return self._aggressive_pass(contender.name, rate, order)
        settings, _ = make_settings(cast(Rule, contender.rule), contender.hyper(rate, l1, delta))
        weights, no_intercept = _zeros("sparse", self._features, settings), _zeros("dense", 1, settings)
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
        return Pass(rate, int(mistakes), weights.p.copy())

    def _aggressive_pass(self, name: str, rate: float, order: NDArray[np.int64]) -> Pass:
        weights = np.zeros(self._features)
        arguments: list[Any]
        if name == "PA":
            loop, arguments = make_passive_aggressive(), [rate, weights]
        else:
            loop, arguments = make_arow(), [1 / rate, weights, np.ones(self._features)]
        with compilation(loop, f"the loop of {name}"):
            mistakes = loop(self.examples, order, *arguments)
        return Pass(rate, int(mistakes), weights)

    def error(self, weights: Floats, rows: NDArray[np.int64]) -> float:
        """Share of these examples that the weights get wrong; a score of 0 is wrong, whatever the label."""
        x, wrong = self.examples, 0
        for n in rows.tolist():
            span = slice(int(x.starts[n]), int(x.starts[n + 1]))
            wrong += x.values[span] @ weights[x.columns[span]] * x.labels[n] <= 0
        return float(wrong) / len(rows)


def _zeros(layout: str, features: int, settings: Settings) -> Weights:
    """Weights of 0, and the method's state at its beginning."""
    weights = make_weights(layout, features, 0, len(settings.slots), np.dtype(np.float64))
    begin_all(weights.slots, settings, weights.p)
    return weights


def _rates(settings: Settings, steps: int) -> Rates | RatesOfSteps:
    """The scalars of the steps of a pass: the same for all, or a row for each step where the rate is scheduled."""
    exact = np.array(settings.scalars(0))
    if not settings.scheduled:
        return Rates(exact, exact, exact)
    of_steps = scalars_of_steps(settings, 0, steps)
    with_one_before = np.concatenate([[exact], of_steps])
    return RatesOfSteps(with_one_before, with_one_before, exact, sums_of_steps(settings, of_steps))
