"""The search for a learning rate by short runs from where an optimizer stands, one run at each rate of a grid."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset, as_dataset, sample_count
from ..data.randomness import as_generator
from ..engine.given import checked
from ..kernels.rules import trait
from ..support.asking import asking, shown
from ..support.checks import whole_number
from ..support.log import logger
from . import checkpoint
from .by_gradients import session_of
from .monitors import Monitors, WeightedMean
from .optimizer import Optimizer
from .run import Touches

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Batches = list[tuple[Any, int, int]]  # each with the axis along which its samples lie, and their number

MOST_RATES = 1000
MOST_STEPS = 1 << 31


@dataclass(frozen=True, eq=False)
class RateSearch:
    """The result of `find_learning_rate`.

    Attributes
    ----------
    rates : ndarray (n,) of float64
        The rates that were tried, ascending.
    losses : ndarray (n,) of float64
        Mean loss after the run at each rate, in the loss's own unit; infinite where the run diverged.
    initial_loss : float
        Mean loss before any run.
    learning_rate : float
        The suggestion.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> w = np.array([4.0])
    >>> search = fa.find_learning_rate(fa.SGD(lambda w: (w @ w, 2 * w), w), lowest=0.01, per_decade=1, steps=5)
    >>> search.rates.round(2).tolist(), search.initial_loss
    ([0.01, 0.1, 1.0, 10.0], 16.0)
    >>> round(search.learning_rate, 2)
    0.1
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    initial_loss: float
    learning_rate: float

    def plot(self, where: str | PathLike[str] | Axes) -> None:
        """Draw loss against rate, with the suggestion marked.

        Parameters
        ----------
        where : path-like or matplotlib Axes
            A file to write, .png, .svg or .pdf; or axes to draw in.

        Raises
        ------
        ValueError, OSError
            If no figure can be written there.
        RuntimeError
            If matplotlib is not installed.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> opt = fa.SGD(lambda w: (w @ w, 2 * w), np.array([4.0]))
        >>> search = fa.find_learning_rate(opt, lowest=0.01, per_decade=1, steps=5)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     search.plot(Path(folder) / "rates.svg")
        """
        from ..support import figures

        path = figures.path_of(where)
        if path is None:
            draw_rates(cast("Axes", where), self)
            return
        figures.check_path(path)
        figures.save(figures.drawing(draw_rates, self), path)


def find_learning_rate(
    opt: Optimizer,
    train: Any = None,
    valid: Any = None,
    *,
    lowest: float = 1e-5,
    highest: float = 10.0,
    per_decade: int = 3,
    steps: int = 100,
    batch_size: int = 32,
    rng: Any = None,
    touches: Touches | None = None,
) -> RateSearch:
    r"""Suggest a learning rate for an optimizer, by short runs from where it stands.

    .. code-block:: text

        for each rate of a logarithmic grid:
            begin with the parameters, state and counts that the optimizer has
            make `steps` updates at that rate, on the same batches in the same order
            L = mean loss, afterwards, of the validation examples, or else of those batches
        suggestion = the rate whose L is lowest

    The runs have copies of the optimizer's parameters and state, and lack its monitors and updates. The optimizer is
    left as it is, except that rows that lag behind are caught up. The loss of a run is infinite if the run meets a loss
    that is not finite, or an arithmetic error, or if its rate times `decoupled_weight_decay` is 1 or more.

    Parameters
    ----------
    opt : Optimizer
        An optimizer with a loss, of any method that has a learning rate. Its hyperparameters hold for the runs, except
        that a constant rate takes the place of a schedule. Groups that have a learning rate of their own keep it.
    train : Dataset, arrays, callable, iterable of batches, or None for a loss without data
        A Dataset keeps its position and its random numbers; a callable is called for each batch.
    valid : Dataset, arrays, callable, iterable of batches, optional
        Validation examples, which are read once for each rate. They are worth giving where `steps` batches are most of
        the data, so that a run could learn these by heart.
    lowest, highest : float, default 1e-5 and 10
        Ends of the grid, in the unit of the learning rate.
    per_decade : int, default 3
        Rates for each factor of 10.
    steps : int, default 100
        Updates of each run. Its batches are kept in memory.
    batch_size : int, default 32
        Samples a batch, where a Dataset is made of `train`.
    rng : None, int, SeedSequence, BitGenerator, Generator or RandomState
        Source of the random order of that Dataset.
    touches : callable, optional
        As in `Optimizer.iterate`.

    Returns
    -------
    RateSearch
        The search, with the attribute `learning_rate` and the method `plot`.

    Raises
    ------
    TypeError, ValueError
        If an argument is refused, if the method needs no learning rate or has used it up (RProp in its first step), if
        every run diverges, or if no run lowers the loss.
    RuntimeError
        If the optimizer has no loss.

    Notes
    -----
    Smith's learning-rate range test (2017) makes one run whose rate grows from step to step. AdaGrad's accumulator only
    grows: gradients at the small, early rates shorten the steps at the later rates, so that the test suggests too high
    a rate. Separate runs do not influence one another, and gave better rates for the other methods, too:
    ``bench/rate_searches.py`` prints the comparison. For a method whose steps do not become shorter, a rate that is
    best over a short run may be somewhat too high for a long one: raise `steps`, or take half of the rate.

    References
    ----------
    L. N. Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, 464-472.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> X = np.random.default_rng(0).standard_normal((500, 3))
    >>> y = X @ [1.0, -2.0, 3.0]
    >>> def loss(w, X, y):
    ...     error = X @ w - y
    ...     return error @ error / len(y), 2 * error @ X / len(y)
    >>> w = np.zeros(3)
    >>> opt = fa.ADAGRAD(loss, w)
    >>> search = fa.find_learning_rate(opt, [X, y], rng=0)
    >>> 0.1 < search.learning_rate < 10, search.losses.min().item() < search.initial_loss, w
    (True, True, array([0., 0., 0.]))
    >>> opt.hyper.learning_rate = search.learning_rate
    """
    _check_method(opt)
    rates = _grid(lowest, highest, per_decade)
    steps = whole_number("steps", steps, 1, MOST_STEPS)
    random = as_generator(session_of(opt).common_rng(rng))
    trial = _Trial(opt, touches)
    if train is None:
        session_of(opt).objective.refuse_missing_data("train")
    with asking("train or valid"):
        data, held_out = as_dataset(train, batch_size=batch_size), as_dataset(valid, batch_size=batch_size)
    fitted = _batches(data, steps, random)
    judged = _all_batches(held_out) or (fitted if train is not None else fitted[:1])
    initial = trial.loss(judged)
    if not math.isfinite(initial):
        raise ValueError(f"the loss is {initial} before the first step: no rate can be judged; mend loss or parameters")
    losses = np.array([trial.run(float(rate), fitted, judged) for rate in rates])
    return RateSearch(rates, losses, initial, _suggestion(rates, losses, initial))


def _check_method(opt: Any) -> None:
    with asking("opt", opt):
        if not isinstance(opt, Optimizer):
            raise TypeError(f"opt must be an optimizer, such as fastadagrad.ADAGRAD(loss, params), not {shown(opt)}")
    session_of(opt).objective  # noqa: B018  raises if there is none
    name = opt.rule.name.upper()
    if trait(opt.rule, "rate_free"):
        raise ValueError(f"{name} needs no learning rate: there is nothing to search for")
    if "learning_rate" in trait(opt.rule, "starts") and not session_of(opt).unused:
        raise ValueError(f"{name} takes its learning rate at the first step, which it has made: reset() first")


def _grid(lowest: Any, highest: Any, per_decade: Any) -> NDArray[np.float64]:
    lowest, highest = checked("lowest", lowest, 0.0), checked("highest", highest, 0.0)
    for name, value in (("lowest", lowest), ("highest", highest)):
        if value == 0:
            raise ValueError(f"{name} must be above 0, not {value!r}")
    if not lowest < highest:
        raise ValueError(f"lowest must be below highest, not {lowest!r} and {highest!r}")
    decades = math.log10(highest) - math.log10(lowest)  # the quotient of the two may be beyond all floats
    count = max(2, round(whole_number("per_decade", per_decade, 1, sys.maxsize) * decades) + 1)
    if count > MOST_RATES:
        raise ValueError(f"these would be {count} rates, at most {MOST_RATES} are tried: lower per_decade")
    return np.geomspace(float(lowest), float(highest), count)


def _batches(data: Dataset | None, steps: int, random: np.random.Generator) -> Batches:
    """The batches of a run, `steps` of them, the same for all runs; if one pass has fewer, another pass follows."""
    if data is None:
        return [((), 0, 1)] * steps
    found: Batches = []
    while len(found) < steps:
        found += _counted(islice(data.batches(random), steps - len(found)), data.axis)
    return found


def _all_batches(data: Dataset | None) -> Batches:
    return [] if data is None else _counted(data.batches(), data.axis)


def _counted(batches: Iterable[Any], axis: int) -> Batches:
    return [(batch, axis, sample_count(batch, axis)) for batch in batches]


class _Trial:
    """A copy of the given optimizer, set back before each run to what the optimizer was.

    The copy has parameters and state of its own, the same loss, and no run, so that its updates and monitors stay
    unused. Attributes of a subclass, and arguments of the constructor, are the same objects.
    """

    def __init__(self, opt: Optimizer, touches: Touches | None) -> None:
        given = session_of(opt)
        with given.engine.lock:
            given.take_answers()
            self._start = checkpoint.state_of(given.engine, given.ledger, None).to_begin_with()
            self._twin = opt.twin()
        self._session = session_of(self._twin)
        self._session.touches, self._session.monitors = touches, Monitors((), self._session.params, False)
        self._hyper = dict(self._session.hyper)

    def _set_back(self, rate: float) -> None:
        start = copy.deepcopy(self._start)  # it shares its arrays with the copy; `take` copies them
        self._session.take(start, self._hyper, {})
        self._twin.hyper.learning_rate = rate
        self._session.engine.warned.update(self._session.params.names)  # no warnings of infinite accumulators

    def run(self, rate: float, fitted: Batches, judged: Batches) -> float:
        """Loss after a run at this rate."""
        self._set_back(rate)
        session, settings = self._session, self._session.engine.settings
        if any(each.learning_rate_at(0) * each.options.decoupled_weight_decay >= 1 for each in settings):
            return math.inf  # weights would change sign
        try:
            with np.errstate(all="ignore"):
                for batch, axis, _ in fitted:
                    if not math.isfinite(session.train_on(session.arguments_of(batch, axis))["loss"]):
                        return math.inf
                loss = self.loss(judged)
        except ArithmeticError:  # FloatingPointError of a gradient, OverflowError of the user's math.exp
            return math.inf
        return loss if math.isfinite(loss) else math.inf

    def loss(self, judged: Batches) -> float:
        """Mean loss, weighted by sample, of the parameters as they are."""
        session, mean = self._session, WeightedMean()
        session.flush()
        for batch, axis, samples in judged:
            arguments = session.arguments_of(batch, axis)
            session.prepare(arguments)
            mean.add(session.measure(arguments, False)[0], samples)
        return mean.means()["loss"]


def _suggestion(rates: NDArray[np.float64], losses: NDArray[np.float64], initial: float) -> float:
    """The rate that `find_learning_rate` suggests: that of the lowest loss."""
    tried = f"rates from {rates[0]:g} to {rates[-1]:g}"
    if not np.isfinite(losses).any():
        raise ValueError(f"the loss diverges at all {tried}: lower `lowest`, or scale the data")
    best = int(losses.argmin())
    if not losses[best] < initial:
        raise ValueError(
            f"none of the {tried} lowers the loss, which is {initial:g} at the start: raise `steps` or widen the grid, "
            "and see that the loss goes by the params that it is given, and its gradients are right"
        )
    if best in (0, len(rates) - 1):
        logger.warning("the best of the %s is the %s: widen the grid", tried, "highest" if best else "lowest")
    return float(rates[best])


def draw_rates(axes: Axes, search: RateSearch) -> None:
    """Draw the loss after a short run against its learning rate, on logarithmic scales where they help."""
    from ..support.figures import PALETTE, dress, logarithmic_if_wide

    finite = np.isfinite(search.losses)
    dress(axes)
    axes.set_xscale("log")
    low, high = float(search.losses[finite].min()), search.initial_loss
    if logarithmic_if_wide(axes, low, high):
        bottom, top = low / (high / low) ** 0.1, high * (high / low) ** 0.25
    else:
        bottom, top = low - 0.1 * (high - low), high + 0.4 * (high - low)
    axes.plot(search.rates[finite], search.losses[finite], color=PALETTE[0], marker="o", label="after a short run")
    axes.axhline(high, color=PALETTE[6], linestyle=":", zorder=1, label="at the start")
    axes.axvline(search.learning_rate, color=PALETTE[1], linestyle="--", label=f"suggestion {search.learning_rate:.3g}")
    if not finite.all():
        beyond = search.rates[~finite]
        axes.plot(beyond, [top] * len(beyond), "x", color=PALETTE[3], clip_on=False, label="diverged")
    axes.set_ylim(bottom, top)
    axes.set_xlabel("learning rate")
    axes.set_ylabel("mean loss")
    axes.legend()
