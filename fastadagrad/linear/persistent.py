"""Saving linear models to files, and loading them."""

from __future__ import annotations

from typing import Any, Self

from ..support import array_file
from . import saved
from .fitting import State
from .methods import own_hyper, rule_for
from .predictor import Predictor
from .saved_state import StoredState


class PersistentPredictor(Predictor):
    """A predictor that can be saved to a file and loaded, with the history of its training."""

    history: list[dict[str, float]]
    best_epoch: int
    stopped_because: str
    learning_rate_: float
    _keeps: bool

    @property
    def _state(self) -> State | None:
        """The state of training, of which whole arrays are made when it is first asked for."""
        held = vars(self)["_state"]
        if isinstance(held, StoredState):
            held = vars(self)["_state"] = held.state()
        state: State | None = held
        return state

    @_state.setter
    def _state(self, state: State | None) -> None:
        vars(self)["_state"] = state

    def save(self, path: array_file.Target) -> None:
        """Write the model to a file, with the state of its training, if it has kept one to go on from.

        `numpy.load` reads it, too: it has `coef`, `intercept` and `classes`. Where most of many weights are 0, it has
        only the others, `coef_values`, at `coef_positions` of the flat array, and `coef_shape`.

        Parameters
        ----------
        path : path-like or file object
            The file at a path is replaced as a whole or not at all. A file object must be open in binary mode.

        Raises
        ------
        OSError
            If the file cannot be written; the old file is left then.
        RuntimeError
            If the model has not been trained.
        TypeError
            If a file object is open in text mode.

        Examples
        --------
        >>> import io
        >>> import numpy as np
        >>> from fastadagrad.linear import LinearModel
        >>> file = io.BytesIO()
        >>> LinearModel().fit([[1.0], [-1.0]], [1, 0]).save(file)
        >>> file.seek(0)
        0
        >>> LinearModel.load(file).predict([[2.0]])
        array([1])
        """
        if not self._is_trained:
            raise RuntimeError("this model has not been trained: call fit first")
        validation = self._parameters["validation"]
        fitted = saved.Fitted(
            {**self._parameters, "validation": validation if isinstance(validation, float) else 0.0},
            self._weights,
            self.intercept_,
            self._targets,
            self.history,
            self.best_epoch,
            self.stopped_because,
            self.feature_names,
            self.zero_based,
            self.learning_rate_,
            self.columns_,
            vars(self)["_state"],
        )
        saved.write(path, fitted)

    @property
    def goes_on(self) -> bool:
        """Whether the model has kept a state from which `partial_fit` goes on, and `fit` with `warm_start`."""
        return vars(self)["_state"] is not None

    @classmethod
    def load(cls, path: array_file.Target, **changed: Any) -> Self:
        """Read a model that `save` wrote.

        Parameters
        ----------
        path : path-like or file object
            A file object must be open in binary mode, and is read from its position on.
        **changed
            Keywords of the model that are to have other values than in the file, for training that goes on.

        Returns
        -------
        LinearModel
            The trained model, with the history of its training.

        Raises
        ------
        ValueError
            If the file is damaged, of another kind, or of a newer version; or if a keyword makes no sense, such as
            another `hash_bits` than that of the features.
        TypeError
            If a file object is open in text mode, or there is no such keyword.
        OSError
            If there is no such file, or it cannot be read.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from fastadagrad.linear import LinearModel
        >>> model = LinearModel().fit([[1.0], [-1.0]], ["up", "down"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(Path(folder) / "model.npz")
        ...     loaded = LinearModel.load(Path(folder) / "model.npz")
        >>> loaded.predict([[2.0]]), loaded.classes_
        (array(['up'], dtype='<U4'), array(['down', 'up'], dtype='<U4'))
        """
        fitted = saved.read(path)
        try:
            model = cls(**fitted.parameters)
        except (TypeError, ValueError) as error:
            raise saved.refusal(path, error) from None
        if changed:
            model = cls(**_changed(fitted.parameters, changed))
        vars(model)["coef_"], vars(model)["_state"] = fitted.coef, fitted.state
        model.intercept_, model._targets = fitted.intercept, fitted.targets
        model.history, model.best_epoch = fitted.history, fitted.best_epoch
        model.stopped_because, model.learning_rate_ = fitted.stopped_because, fitted.learning_rate
        model.feature_names, model.zero_based = fitted.feature_names, fitted.zero_based
        model.columns_, model._keeps = fitted.columns, fitted.state is not None
        return model


def _changed(parameters: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a trained model with others in their place; of another method, without those of the old one."""
    bits = parameters["hash_bits"]
    if changed.get("hash_bits", bits) != bits:
        raise ValueError(f"hash_bits is {changed['hash_bits']}, and the model was trained with hash_bits={bits}")
    if str(changed.get("method", parameters["method"])).lower() == parameters["method"]:
        return {**parameters, **changed}
    own = own_hyper(rule_for(parameters["method"]))
    return {**{name: value for name, value in parameters.items() if name not in own}, **changed}
