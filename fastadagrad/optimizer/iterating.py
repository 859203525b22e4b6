"""Runs of an optimizer: epochs of training and validation, in a loop of the user's or all at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar, Unpack

from ..data.dataset import as_dataset, limited
from ..engine.options import Hyper, Rule, hyper_names, refuse_unknown
from ..support.asking import asking, whether
from ..support.attributes import OF_DATASETS, RUNNING, TAKEN_BY_DATASETS, TAKEN_WHEN_MADE
from ..support.checks import check_limits
from ..support.numbered_files import checkpoints_of
from .documents import takes_as
from .history import Monitored
from .keeping import Keeper
from .resuming import take_up_newest
from .run import Run, Touches
from .saved_files import tell


class Iterating(Keeper):
    """The base of optimizers that has runs: `iterate` and `minimize`."""

    rule: ClassVar[Rule]
    _making: ClassVar[tuple[str, ...]]  # arguments, beside the loss, the parameters and hyperparameters

    def iterate(
        self,
        train: Any = None,
        valid: Any = None,
        max_updates: int | None = None,
        *,
        max_epochs: int | None = None,
        batch_size: int = 32,
        train_batches: int | None = None,
        valid_batches: int | None = None,
        rng: Any = None,
        progress: bool = False,
        touches: Touches | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        every: int | str | timedelta = 1,
        keep: int | None = 2,
        resume: bool = False,
        **hyper: Unpack[Hyper],
    ) -> Iterator[tuple[Monitored, Monitored]]:
        """Optimize, yielding a pair of monitor dicts after each epoch.

        The first validation comes before the first update, then one every ``validate_every`` epochs; in between, the
        result of the latest validation is yielded. The iteration stops when ``patience`` + 1 validations in a row have
        not improved on the best, or at ``max_updates`` or ``max_epochs``. At the end, parameters that have changed
        since the last validation are validated once more, and the parameters of the best validation are restored. This
        also happens when the loop is left early (``break``, ``next``, an exception in its body, ...) and its iterator
        closed, unless the parameters have been changed from outside since: stepped, set, loaded or reset.

        Parameters
        ----------
        train, valid : Dataset, arrays, callable, iterable of batches, or None
            None for `train` is for a loss without data, whose epochs are single updates. `valid` defaults to `train`.
        max_updates, max_epochs : int, optional
            Limits of this run; `max_updates` may end it in the middle of an epoch.
        batch_size : int, default 32
            Samples a batch, where a Dataset is made of other data.
        train_batches, valid_batches : int, optional
            Number of batches in a training epoch, and the largest number in a validation, for any kind of data. The
            default is a Dataset's `iteration_size`, or else one pass (for a callable its length, or 100). Validation on
            `train` takes no more batches than a training epoch does. Endless data need both. With `train_batches`, an
            epoch begins where the one before stopped, but the next run begins where this run began; a Dataset with an
            `iteration_size` goes on in the next run.
        rng : None, int, SeedSequence, BitGenerator, Generator or RandomState
            Source of the random order, where a Dataset is made of training data.
        progress : bool, default False
            Show a progress bar (needs the extra ``fit``).
        touches : callable, optional
            ``touches(*batch)`` returns a dict, parameter name -> indices of the rows that the loss will read: where
            rows lag behind (`lazy`), only these are caught up before each call. Without `touches` all rows are.
        checkpoint : path-like, optional
            A folder, made if it is missing, to which checkpoints are written, as `save` writes files, after the body of
            the loop. From any of them training goes on with the same bits. Ctrl-C within an epoch writes one, too; the
            end of the run writes its result. A file that cannot be written does not end the run: a UserWarning tells
            of it, and, if it was the last, an OSError after the end of the run.
        every : int, str or timedelta, default 1
            A whole number: after so many epochs. A time ("30s", "5min", "2h" or a timedelta): whenever it has passed,
            in the midst of an epoch, too.
        keep : int or None, default 2
            How many of the newest checkpoints are kept; None: all.
        resume : bool, default False
            True: go on from the newest checkpoint in the folder that is whole; if there is none, begin. The limits are
            those of the whole run. Hyperparameters are those given here, but for those that the body of the loop has
            changed. False: a folder that has checkpoints is refused.
        **hyper
            Hyperparameters for this run only (but `accumulator` and `initial_accumulator_value`, which shape the
            state, hold for good and can be given before the first step only).

        Yields
        ------
        train_monitors : dict of str to float
            Means over the epoch, weighted by sample: 'loss', the gradients' norms and the monitors, if asked for.
        valid_monitors : dict of str to float
            Monitors of the latest validation.

        Raises
        ------
        TypeError, ValueError
            If an argument, a hyperparameter or a result of the loss is refused.
        RuntimeError
            If the optimizer was made without a loss, or if what it calls asks for an iteration.
        FloatingPointError, IndexError
            For a gradient of the loss, as in `step`.
        OSError
            If the folder for checkpoints cannot be made, read or written.

        Examples
        --------
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> opt = fa.SGD(lambda w: (w @ w, 2 * w), np.array([4.0]), learning_rate=0.25)
        >>> for train, valid in opt.iterate(max_epochs=2, validate_every=1):
        ...     print(train, valid)
        {'loss': 16.0} {'loss': 16.0}
        {'loss': 4.0} {'loss': 1.0}
        """
        known = [*hyper_names(self.rule), *RUNNING]
        elsewhere = {name: TAKEN_BY_DATASETS.format(name) for name in OF_DATASETS}
        refuse_unknown(hyper, known, "iterate", elsewhere=elsewhere | dict.fromkeys(self._making, TAKEN_WHEN_MADE))
        check_limits(0, max_updates=max_updates, max_epochs=max_epochs)
        check_limits(1, train_batches=train_batches, valid_batches=valid_batches)
        if touches is not None and not callable(touches):
            raise TypeError(f"touches must be callable as touches(*batch), not {type(touches).__name__}")
        session = self._session
        objective = session.objective  # raises if there is none
        if train is None:
            objective.refuse_missing_data("train")
        own = session.own_copy(hyper)
        session.engine.check(*session.settings_of(*session.divided(own)), session.unused)
        with asking("train", train):
            train = limited(as_dataset(train, batch_size=batch_size, rng=session.common_rng(rng)), train_batches)
        with asking("valid", valid):
            valid = train if valid is None else as_dataset(valid, batch_size=batch_size)
            valid = limited(valid, valid_batches)
        resume = whether("resume", resume)
        files = session.everywhere(
            "the beginning of a run",
            lambda: checkpoints_of(checkpoint, every, keep, resume, tell, processes=session.processes),
        )
        run = Run(session, train, valid, max_updates, max_epochs, own, touches, files)
        if files is not None:
            run.take_up = partial(take_up_newest, session, run, files)
        session.latest_run = run
        if whether("progress", progress):
            from ..support.progress import shown

            return run.epochs(lambda epochs: shown(epochs, max_epochs))
        return run.epochs()

    @takes_as(iterate)
    def minimize(
        self,
        train: Any = None,
        valid: Any = None,
        max_updates: int | None = None,
        *,
        max_epochs: int | None = None,
        batch_size: int = 32,
        train_batches: int | None = None,
        valid_batches: int | None = None,
        rng: Any = None,
        progress: bool = False,
        touches: Touches | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        every: int | str | timedelta = 1,
        keep: int | None = 2,
        resume: bool = False,
        **hyper: Unpack[Hyper],
    ) -> tuple[Monitored | None, Monitored]:
        """Exhaust `iterate`, which takes the same arguments.

        Returns
        -------
        train_monitors : dict of str to float
            Monitors of the last epoch; None if there was no epoch.
        valid_monitors : dict of str to float
            Monitors of the parameters at the end.

        Raises
        ------
        TypeError, ValueError, IndexError, FloatingPointError, RuntimeError, OSError
            As in `iterate`.

        Examples
        --------
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> opt = fa.SGD(lambda w: (w @ w, 2 * w), np.array([4.0]), learning_rate=0.25)
        >>> opt.minimize(max_epochs=2)
        ({'loss': 4.0}, {'loss': 1.0})
        """
        epochs = self.iterate(
            train,
            valid,
            max_updates,
            max_epochs=max_epochs,
            batch_size=batch_size,
            train_batches=train_batches,
            valid_batches=valid_batches,
            rng=rng,
            progress=progress,
            touches=touches,
            checkpoint=checkpoint,
            every=every,
            keep=keep,
            resume=resume,
            **hyper,
        )
        session = self._session
        run = session.latest_run
        assert run is not None
        with run.interrupts.held():  # also between epochs
            for _ in epochs:
                pass
        return run.last_train, dict(session.best.monitors) if run.has_best and session.best else run.last_valid
