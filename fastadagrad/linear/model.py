"""Linear models, trained by ADAGRAD or another method."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import DTypeLike

from ..data.labels import as_labels
from ..data.roles import Columns
from ..data.streams import is_stream
from ..data.tables import Table
from ..support.asking import shown, whether
from . import arguments, targets
from .divided import Processes, among
from .fit_checkpoints import FitCheckpoints, opened
from .fitting import State, fit, of_one_part
from .methods import own_hyper
from .splits import checked_validation, labelled
from .stream_arguments import adopted_bits, check_alone
from .trainable import Trainable
from .typed_keywords import OwnHyper


class LinearModel(Trainable):
    """Linear classifier or regression, trained one example (or minibatch) at a time.

    Parameters
    ----------
    loss : {"auto", "logistic", "squared", "hinge", "softmax", "poisson", "quantile", "huber"}, default "auto"
        "auto": logistic for two different labels; softmax for more, if they are strings or whole numbers of
        which at most 100 differ; else squared. "poisson" takes counts, of at least 0, whose mean is the
        exponential of the score; where float64 cannot hold the mean, it is infinite. "quantile" is the pinball loss,
        by which a prediction is a quantile of the label. "huber" is squared for errors up to `delta` and linear beyond,
        so that single labels far off count less.
    method : str, default "adagrad"
        Name of the method that trains the model, as `fastadagrad.build` takes it: ADAGRAD, or any other that needs no
        more than gradients. DoG, DoWG and D-adaptation, which measure all weights at each step, and ESGD, which needs
        Hessian-vector products, are refused.
    learning_rate : float or "auto", optional
        "auto" finds a rate by fits to at most 10,000 of the training examples, which `seed` chooses and of which parts
        are held out (of a Stream that can be read once only, the first ones); examples for validation are not used.
        Rates go up or down by half decades from 0.1, which is left only for one that is better by more than a standard
        error. Ctrl-C meanwhile raises KeyboardInterrupt. By default "auto" for ADAGRAD, and else the method's own
        default, or 0.1; in `partial_fit` always the latter. For ADAGRAD the rate is the length of the first step, in
        scaled units (see `scale`), but for `implicit` and `rms_regularizer`.
    momentum, l1, l2, weight_decay, decoupled_weight_decay : float, default 0
        As in :class:`fastadagrad.ADAGRAD`. l1 and l2 are strengths per example; penalties and decays act on the weights
        of the scaled features, and never on the intercept.
    nesterov : bool, default False
        As in :class:`fastadagrad.ADAGRAD`.
    quantile : float, default 0.5
        Share of the labels that are to be below the prediction, between 0 and 1; for the loss "quantile" alone.
    delta : float, default 1
        Error, in the unit of the labels, from which on the loss "huber" is linear.
    batch_size : int, default 1
        Examples per update; their mean gradient counts.
    max_epochs : int, optional
        Passes over the training examples; by default 10, or as many as 10,000 updates with single examples
        take, but at most 50.
    patience, min_improvement : int and float, default 5 and 1e-5
        Stop after more than `patience` epochs in a row that did not improve the validation loss (without validation:
        the progressive loss, which is that of each example before its update). An epoch improves it if the loss is
        lower by more than the share `min_improvement` of the loss of the last epoch that improved it. The weights kept
        are those of the lowest validation loss, by however little (without validation: of the last epoch).
    intercept : bool, default True
        Whether a constant is added to the scores, one a class for softmax. Penalties and decays leave it alone.
    scale : {"auto", "standard", "maxabs", "none"}, default "auto"
        How features are scaled while training: to mean 0 and standard deviation 1 ("standard"), or to a largest
        absolute value of 1 ("maxabs"). "auto" is "standard" for dense features, and for sparse ones of which more than
        half are stored; "none" for sparse rows of length 1, as tf-idf makes them; else "maxabs". Unless `scale`
        is "none" or there is no intercept, real labels are standardised and counts divided by their mean, so that their
        unit does not matter. Only the reported squared loss is in the square of that unit, and infinite or 0 where
        float64 cannot hold it. The finished weights are for the unscaled features.
    validation : float, Table or (X, y), default 0
        Fraction of the training examples to set aside, chosen by `seed`, or separate examples. A fraction takes
        its share of each class, but never the only example of a class. Separate examples may have labels that are not
        among the classes of the training: each counts as a miss for "valid_accuracy", and not at all for "valid_loss".
    shuffle : bool, default True
        Whether each epoch has its own order.
    seed : int, default 0
        Seed of the orders and of the fraction set aside. The same seed and data give the same bits.
    dtype : {float32, float64}, default float32
        Dtype of the arithmetic while training. Features are scaled in their own dtype first, and then rounded.
    lazy : {"exact", "touched", "dense"}, default "exact"
        How a sparse feature that an example lacks follows momentum, decay, l1 and l2: in closed form when it
        next occurs, not at all, or by stepping every feature each time. RMSProp, ADADELTA, RProp, Adam and AdaMax
        change their slots of a feature in each step and have no closed form: for sparse X they need "touched" or
        "dense".
    average : bool, int or "auto", default "auto"
        True: the weights are the mean of those that training passed through, taken at a few points of each epoch
        (Polyak and Ruppert). An int: the mean over so many last epochs. Validation judges the mean, which goes on over
        calls of `partial_fit` and `warm_start`. "auto": for ADAGRAD without l1, the mean of all, in which an epoch
        counts by about the third power of its number, but not in `partial_fit`; else False.
    implicit : bool, optional
        Whether steps are implicit, so that no learning rate makes them overshoot: a step ends where many small steps on
        the same example would (Karampatziakis and Langford, "Online Importance Weight Aware Updates", UAI 2011). By
        default they are for ADAGRAD with single examples and no momentum; SGD and RMSProp can make them, too.
    warm_start : bool, default False
        Whether `fit` goes on from the weights and the method's state of the fit before, with the same classes and
        scales, and the same learning rate if that is "auto". Such a model keeps these for `partial_fit`, too.
    hash_bits : int, optional
        Hash the columns of a sparse X, up to 2**63 of them, into 2**hash_bits, before anything is made for each
        column; `predict` and the like do the same. Values whose columns fall together in a row are added.
    **own
        Hyperparameters of the method alone: `rms_regularizer` of ADAGRAD, by default 0.3 here, `ftrl_l1` of FTRL
        (which, like l1, does not act on the intercept), `beta1_halflife` of Adam, ...

    Attributes
    ----------
    coef_, intercept_ : ndarray
        float64, (features,) and (), or (features, classes) and (classes,) for softmax.
    learning_rate_ : float
        The learning rate as it was given, or found.
    history : list of dict
        A dict for each epoch: "epoch", "loss" (progressive), and "valid_loss" and the like.
    best_epoch, stopped_because : int, str
        The epoch whose weights these are, 0 before the first has ended (after an interruption without validation, the
        weights have part of the next epoch, too); and "max_epochs", "patience", "non-finite loss" or "interrupted".
    columns_ : Columns or None
        After training on a Stream or a Table with named columns: which of them are what.
    zero_based : bool or None
        Whether columns counted from 0 in the svmlight text trained on: load examples to be scored with the same value.
    seconds, features_per_second : float
        Time that the training loops took, without compilation, and stored features done in each second.

    Raises
    ------
    TypeError, ValueError
        If there is no such keyword, or one has a value that makes no sense; the message names it and what to do.

    Examples
    --------
    >>> import numpy as np
    >>> from fastadagrad.linear import LinearModel
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> model = LinearModel().fit(X, X[:, 0] > X[:, 1])
    >>> model.predict([[1, 0, 0], [0, 1, 0]])
    array([ True, False])
    """

    learning_rate_: float

    def __init__(
        self,
        loss: Literal["auto", "logistic", "squared", "hinge", "softmax", "poisson", "quantile", "huber"] = "auto",
        *,
        method: str = "adagrad",
        learning_rate: float | Literal["auto"] | None = None,
        momentum: float = 0.0,
        nesterov: bool = False,
        l1: float = 0.0,
        l2: float = 0.0,
        weight_decay: float = 0.0,
        decoupled_weight_decay: float = 0.0,
        quantile: float = 0.5,
        delta: float = 1.0,
        batch_size: int = 1,
        max_epochs: int | None = None,
        patience: int = 5,
        min_improvement: float = 1e-5,
        intercept: bool = True,
        scale: Literal["auto", "standard", "maxabs", "none"] = "auto",
        validation: float | Table | tuple[Any, Any] = 0.0,
        shuffle: bool = True,
        seed: int = 0,
        dtype: DTypeLike = np.float32,
        lazy: Literal["exact", "touched", "dense"] = "exact",
        average: bool | int | Literal["auto"] = "auto",
        implicit: bool | None = None,
        warm_start: bool = False,
        hash_bits: int | None = None,
        **own: Unpack[OwnHyper],
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in ("self", "__class__", "own")}
        plain, self._settings, self._conduct = arguments.check(arguments.refuse_unknown(given, own))
        self.history: list[dict[str, float]] = []
        self.best_epoch = 0
        self.stopped_because = ""
        self.seconds = self.features_per_second = 0.0
        self.feature_names: tuple[str, ...] | None = None
        self.zero_based: bool | None = None
        self.columns_: Columns | None = None
        self._targets = targets.Targets("")
        self._state: State | None = None
        self._keeps = False  # whether the latest training was to keep its state
        self._parameters = plain  # set last: from then on, __setattr__ checks names

    def __setattr__(self, name: str, value: Any) -> None:
        there = vars(self)
        if "_parameters" in there and name not in there and name.strip("_") == name:  # those that `fit` sets end in _
            arguments.refuse_misplaced(self, name, self._parameters)
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        default = (type(self).__init__.__kwdefaults__ or {}) | own_hyper(self._settings.rule)
        own = [f"{k}={_shown(v)}" for k, v in self._parameters.items() if k != "loss" and v != default[k]]
        return f"LinearModel({', '.join([repr(self._parameters['loss']), *own])})"

    @property
    def method(self) -> str:
        """Name of the method that trains the model."""
        return str(self._parameters["method"])

    def fit(
        self,
        X: Any,
        y: Any = None,
        valid: Any = None,
        progress: bool | Callable[..., Any] = False,
        *,
        sample_weight: Any = None,
        checkpoint: str | os.PathLike[str] | None = None,
        every: int | str | timedelta = 1,
        keep: int | None = 2,
        resume: bool = False,
        comm: Any = None,
    ) -> LinearModel:
        """Train from scratch or, if the model has `warm_start`, from where training stands.

        Parameters
        ----------
        X : array-like (n, features), sparse matrix, DataFrame, Table or Stream
            A Table has its labels with it. A Stream is read a block at a time, and trained on in bounded memory; from
            one that can be read once only there is one epoch. If it hashes and the model does not, `hash_bits` becomes
            the Stream's.
        y : array-like (n,), optional
            Numbers or strings.
        valid : float, Table or (X, y), optional
            A fraction of the examples, or separate examples, for validation, instead of the model's own `validation`.
            After each epoch their loss decides whether the weights are the best so far, which are kept. Of a Stream the
            fraction is held in memory, up to about four million values; one that can be read once only has no fraction
            to spare.
        progress : bool or callable, default False
            True shows a bar, and for a Stream, on standard error, the progressive loss after 1, 2, 4, ... examples; a
            callable gets each epoch's entry of `history`.
        sample_weight : array-like (n,), optional
            How much each example counts, at least 0. An example of weight 3 is visited three times an epoch; so is one
            of weight 2.5, with each visit counting 5/6. If all weights are large, examples are visited fewer times.
        checkpoint : path-like, optional
            A folder, made if it is missing, to which the state of training is written after epochs. If it cannot be
            written, a warning is logged, training goes on and, if it was the last, ends with an OSError once the model
            is trained.
        every : int, str or timedelta, default 1
            A whole number: after so many epochs, and after the last. A time ("30s", "5min", "2h" or a timedelta): after
            the epoch in which it has passed; of a Stream, within the epoch, too.
        keep : int or None, default 2
            How many of the newest checkpoints are kept; None: all.
        resume : bool, default False
            True: go on from the newest checkpoint in the folder that is whole, with the bits of a training that has not
            stopped; if there is none, begin. Examples and parameters must be the same, but for the number of epochs and
            `patience`. False: a folder that has checkpoints is refused.
        comm : mpi4py.MPI.Intracomm, optional
            Processes that fit the model together: all are given the same model and the same examples, and each computes
            on its share of every batch, so that `batch_size` is to be large. All then have the same weights, those of
            one process up to rounding. Process 0 writes checkpoints and shows the bar.

        Returns
        -------
        LinearModel
            The model itself. Ctrl-C ends the training early: with the weights so far, even of an unfinished epoch; or,
            once examples for validation have judged an epoch, with those of the best epoch.

        Raises
        ------
        TypeError, ValueError
            If X, y, `valid` or the weights are of another kind, or hold NaN or infinity, or if labels do not suit the
            loss.
        RuntimeError
            If a progress bar is asked for, and tqdm is not installed; or if processes (`comm`) make different calls.
        OSError
            If the folder for checkpoints cannot be made, read or written.

        Examples
        --------
        >>> import numpy as np
        >>> from fastadagrad.linear import LinearModel
        >>> X = np.arange(100.0)[:, None] / 100
        >>> model = LinearModel("squared").fit(X, 3 * X[:, 0] + 1)
        >>> model.coef_.round(1).tolist(), model.intercept_.round(1).item()
        ([3.0], 1.0)
        """
        with among(comm) as processes:
            valid = self._parameters["validation"] if valid is None else checked_validation("valid", valid)
            given = checkpoint, every, keep, whether("resume", resume)
            processes.refuse_undivided(self._parameters["batch_size"], is_stream(X) and not X.repeatable)
            if is_stream(X):
                check_alone(y, sample_weight)
                self._parameters["hash_bits"] = adopted_bits(X, self.hash_bits, self._start is not None)
            with opened(*given, self._parameters, processes) as files:
                self._fit(X, y, valid, progress, sample_weight, files, processes)
        return self

    def _fit(
        self,
        X: Any,
        y: Any,
        valid: Any,
        progress: Any,
        sample_weight: Any,
        files: FitCheckpoints | None,
        processes: Processes,
    ) -> None:
        p = self._parameters
        if is_stream(X):
            found = self._streamed(X, valid, progress, self._start, files=files, processes=processes)
            self._take_stream(found, X, anew=True)
            return
        table = labelled(X, y, None, self.hash_bits, sample_weight)
        table, start = self._continued(table) if p["warm_start"] else (table, None)
        keeps, how = p["warm_start"], (table, valid, progress)
        more: dict[str, Any] = {"start": start, "keeps": keeps, "files": files, "processes": processes}
        found = fit(p, self._settings, self._conduct, *how, **more)
        columns = (X.zero_based, X.columns) if isinstance(X, Table) else (None, None)
        self._take(found, table, keeps=keeps, anew=True, columns=columns)

    def partial_fit(self, X: Any, y: Any = None, *, classes: Any = None, sample_weight: Any = None) -> LinearModel:
        """Train on more examples, once on each, from where training stands.

        Parameters
        ----------
        X : array-like (n, features), sparse matrix, DataFrame, Table or Stream
            Examples with the columns of the calls before. A Stream is read through once.
        y : array-like (n,), optional
            Numbers or strings; a Table has its own.
        classes : array-like, optional
            For a loss of classes, all labels that will ever come; later calls need not name them again. By default
            these are the labels of the first call.
        sample_weight : array-like (n,), optional
            As in `fit`.

        Returns
        -------
        LinearModel
            The model itself. If `scale` is "auto", the first call leaves features and labels unscaled; if it is
            "standard" or "maxabs", the first call scales by its own examples. Later calls scale as the first did.

        Raises
        ------
        TypeError, ValueError
            If X, y, the classes or the weights are of another kind, or hold NaN or infinity; if a label is none of the
            classes; if the learning rate is "auto".
        RuntimeError
            If the model was trained by `fit` on examples in memory without `warm_start`, or loaded from a file of such
            a model: it then has no state to go on from.

        Examples
        --------
        >>> import numpy as np
        >>> from fastadagrad.linear import LinearModel
        >>> model, rng = LinearModel("logistic", learning_rate=0.5), np.random.default_rng(0)
        >>> for _ in range(20):
        ...     X = rng.normal(size=(50, 2))
        ...     model = model.partial_fit(X, X[:, 0] > X[:, 1], classes=[False, True])
        >>> model.predict([[1, 0], [0, 1]])
        array([ True, False])
        """
        p = self._parameters
        if self._state is None and hasattr(self, "coef_") and not self._keeps:
            raise RuntimeError(
                "this model has kept nothing to go on from: make it with warm_start=True before fit, or call "
                "partial_fit on a new one"
            )
        if p["learning_rate"] == "auto" and self._state is None:
            raise ValueError("learning_rate='auto' tries rates on all of the examples: give partial_fit a number")
        if is_stream(X):
            check_alone(y, sample_weight)
            once = {**of_one_part(p, self._settings, self._state), "scale": p["scale"]}  # the stream is looked through
            self._take_stream(self._streamed(X, 0.0, False, self._state, classes, once), X)
            return self
        table = labelled(X, y, None, self.hash_bits, sample_weight)
        table, start = self._continued(table)
        known = None if start is None else start.targets.classes
        if classes is not None and known is not None and not np.array_equal(np.unique(as_labels(classes)), known):
            raise ValueError(f"classes={shown(classes)} are not those of the first call: {known}")
        chosen = None if start else targets.choose(p["loss"], table.labels, p, classes)
        once = of_one_part(p, self._settings, start)
        more = fit(once, self._settings, self._conduct, table, 0.0, False, chosen=chosen, start=start, keeps=True)
        self._take(more, table, keeps=True, columns=(X.zero_based, X.columns) if isinstance(X, Table) else None)
        return self


def _shown(value: Any) -> str:
    if isinstance(value, tuple | Table):
        return "(X, y)" if isinstance(value, tuple) else "Table"
    return f"np.{value.__name__}" if isinstance(value, type) else repr(value)
