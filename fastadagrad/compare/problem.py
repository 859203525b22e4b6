"""The problem of a comparison, and the task that a problem makes for a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.dataset import Dataset, as_dataset
from ..engine.place import readable
from ..support.asking import asking
from ..support.checks import whole_number
from ..support.trees import in_structure, is_nested, leaves

Loss = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A problem with start values: all that a run needs, except the method.

    Parameters
    ----------
    params : ndarray, list or dict of ndarray
        Start values, float32 or float64. A run works on copies.
    loss : callable
        ``loss(params, *batch)`` returns the value and the gradients, in the structure of `params`; gradients of a table
        may be `fa.Rows`. If it returns the value only, autograd derives the gradients.
    train : sequence of arrays, optional
        Samples along the first axis; a batch has a part of each. None: the loss has no data.
    valid : sequence of arrays, optional
        Samples to validate on; by default `train`.
    batch_size : int, default 32
        Samples a batch.
    updates : int, default 1
        Updates in an epoch, if there are no data.
    epochs : int, default 20
        Epochs of a run.
    best : float, optional
        The lowest value that the validation loss can have, where it is known, such as 0 of a quadratic. Gaps are then
        those to the optimum. None: gaps are those to the lowest loss of all runs.
    score : callable, optional
        ``score(params, *valid)`` returns a number that is shown beside the loss and is better the higher it is, such as
        the accuracy of the samples to validate on.
    score_name : str, default "score"
        What the score is called.

    Examples
    --------
    >>> import numpy as np
    >>> from fastadagrad.compare import Task
    >>> task = Task(params=np.ones(2), loss=lambda w: (w @ w, 2 * w), updates=10, epochs=20)
    >>> task.steps_an_epoch
    10
    """

    params: Any
    loss: Loss
    train: Sequence[Any] | None = None
    valid: Sequence[Any] | None = None
    batch_size: int = 32
    updates: int = 1
    epochs: int = 20
    best: float | None = None
    score: Callable[..., float] | None = None
    score_name: str = "score"

    def copied(self) -> Any:
        """Copy the start values for one run.

        Returns
        -------
        ndarray, list or dict of ndarray
            Copies of `params`, in their structure.

        Examples
        --------
        >>> import numpy as np
        >>> from fastadagrad.compare import Task
        >>> task = Task(params={"w": np.ones(2)}, loss=lambda params: (0.0, params))
        >>> task.copied()["w"] is task.params["w"], task.copied()
        (False, {'w': array([1., 1.])})
        """
        with asking("params"):
            if is_nested(self.params, lambda value: isinstance(value, np.ndarray)):
                return in_structure(self.params, [np.array(value) for value in leaves(self.params)])
            if isinstance(self.params, dict):
                return {name: np.array(readable("params", value)) for name, value in self.params.items()}
            if isinstance(self.params, list | tuple):
                return [np.array(readable("params", value)) for value in self.params]
            return np.array(readable("params", self.params))

    def training(self, seed: int) -> Dataset | None:
        """Make the Dataset to train on, with its order drawn from a seed.

        Parameters
        ----------
        seed : int
            Seed of the run, at least 0.

        Returns
        -------
        Dataset or None
            None if the loss has no data.

        Raises
        ------
        TypeError, ValueError
            If `seed` is no such number, or if no Dataset can be made of `train`.

        Examples
        --------
        >>> import numpy as np
        >>> from fastadagrad.compare import Task
        >>> task = Task(params=np.ones(2), loss=lambda w, x: (0.0, w), train=[np.arange(4)], batch_size=2)
        >>> [batch[0].tolist() for batch in task.training(0)]
        [[3, 0], [2, 1]]
        """
        rng = np.random.default_rng([whole_number("seed", seed, 0), 1])
        with asking("train"):
            return as_dataset(self.train, batch_size=self.batch_size, rng=rng)

    def validation(self) -> Dataset | None:
        """Make the Dataset to validate on, which is one batch, so that the loss itself takes the mean.

        Returns
        -------
        Dataset or None
            A Dataset of `valid`, or else of `train`; None if the loss has no data.

        Examples
        --------
        >>> import numpy as np
        >>> from fastadagrad.compare import Task
        >>> task = Task(params=np.ones(2), loss=lambda w, x: (0.0, w), train=[np.arange(4)], batch_size=2)
        >>> [batch[0].tolist() for batch in task.validation()]
        [[0, 1, 2, 3]]
        """
        with asking("train" if self.valid is None else "valid"):
            return as_dataset(self.train if self.valid is None else self.valid, batch_size=0, shuffle=False)

    @property
    def steps_an_epoch(self) -> int:
        """Number of updates in an epoch."""
        data = self.training(0)
        return self.updates if data is None else len(data)


@dataclass(frozen=True)
class Problem:
    """A named source of tasks.

    Parameters
    ----------
    name : str
        Name of the problem in tables and figures.
    make : callable
        ``make(seed)`` returns a `Task`: start values depend on the seed, data are the same for all seeds.
    convex : bool, default False
        Whether the loss is convex, so that the best loss is the same for all starts.
    identity : str, default ""
        Text that tells two problems of one name apart: it changes with the file or the module that a problem is made
        from.
    origin : str, default ""
        Name of the problem on the command line; empty if it was made by hand.
    plane : tuple of four floats, optional
        For a problem whose parameters are one array of two numbers, without data: the ends of the axes, x from, x to, y
        from and y to, of the figure that shows paths.

    Examples
    --------
    >>> import numpy as np
    >>> from fastadagrad.compare import Problem, Task
    >>> def bowl(seed):
    ...     start = np.random.default_rng(seed).standard_normal(3)
    ...     return Task(params=start, loss=lambda w: (w @ w, 2 * w), epochs=10)
    >>> Problem("bowl", bowl, convex=True).make(0).epochs
    10
    """

    name: str
    make: Callable[[int], Task]
    convex: bool = False
    identity: str = ""
    origin: str = ""
    plane: tuple[float, float, float, float] | None = None
