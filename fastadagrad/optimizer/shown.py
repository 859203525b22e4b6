"""An optimizer as users see it: as text, in a notebook, and as a picture of its runs."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, cast

from ..support import html
from ..support.asking import asking, shown
from .by_gradients import ByGradients
from .session import Session

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_shortened = reprlib.Repr()
_shortened.maxdict, _shortened.maxother, _shortened.maxstring = 3, 60, 60


class Shown(ByGradients):
    """What shows an optimizer. Nothing is brought up to date for it, and nothing is changed."""

    def __repr__(self) -> str:
        session: Session | None = vars(self).get("_session")
        if session is None:  # its constructor has not come to its end
            return object.__repr__(self)
        hyper = ", ".join(f"{name}={value}" for name, value in _of_its_own(session).items())
        parts = [hyper, _parameters(session), ", ".join(_standing(session))]
        return f"{type(self).__name__}({'; '.join(filter(None, parts))})"

    def _repr_html_(self) -> str:
        """The same as a table, with what the parameters are."""
        session: Session | None = vars(self).get("_session")
        if session is None:
            return html.properties(type(self).__name__, {})
        rows: dict[str, Any] = {**_of_its_own(session), "parameters": _parameters(session)}
        for name, array in [*session.params][: html.MOST_ROWS]:
            rows[f"• {name}"] = f"{array.dtype} of shape {array.shape}"
        left_out = len(session.params) - html.MOST_ROWS
        if left_out > 0:
            rows["• …"] = f"{left_out:,} more"
        rows["standing"] = ", ".join(_standing(session))
        return html.properties(type(self).__name__, rows)

    def plot(self, where: str | PathLike[str] | Axes | None = None, monitor: str = "loss") -> Figure:
        """Draw a monitor against the epochs: its training means, its validations, and the best validation.

        Parameters
        ----------
        where : path-like or matplotlib Axes, optional
            A file to write, .png, .svg or .pdf; or axes to draw in. By default a figure is made and no more.
        monitor : str, default "loss"
            Name of the monitor.

        Returns
        -------
        matplotlib.figure.Figure
            With the drawing.

        Raises
        ------
        ValueError
            If there is nothing to draw: no epoch yet, or no monitor of that name; or if the file is of another kind.
        OSError
            If the file cannot be written.
        RuntimeError
            If matplotlib is not installed.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> opt = fa.SGD(lambda w: (w @ w, 2 * w), np.array([4.0]), learning_rate=0.25)
        >>> train, valid = opt.minimize(max_epochs=5)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     figure = opt.plot(Path(folder) / "losses.svg")
        """
        from ..support import figures
        from .plot import draw_history

        history, best = self._session.ledger.history, self._session.ledger.best
        names = dict.fromkeys(name for epoch in history for name in epoch.train)
        if not names:
            raise ValueError("there is nothing to draw before the first epoch: run iterate or minimize")
        with asking("monitor", monitor):
            if monitor not in names:
                raise ValueError(f"monitor must be one of {', '.join(map(repr, names))}, not {shown(monitor)}")
        subject = history, best, monitor
        path = figures.path_of(where)
        if where is not None and path is None:
            axes = cast("Axes", where)
            draw_history(axes, subject)
            return axes.get_figure(root=True)  # type: ignore[return-value]  # axes to draw in are in a figure
        if path is not None:
            figures.check_path(path)
        figure = figures.drawing(draw_history, subject)
        if path is not None:
            figures.save(figure, path)
        return figure


def _of_its_own(session: Session) -> dict[str, str]:
    """Hyperparameters in force that are others than the method's defaults, as text."""
    values: Mapping[str, Any] = session.read_hyper()
    return {name: _text(value) for name, value in values.items() if not session.is_default(name, value)}


def _text(value: Any) -> str:
    if callable(value):
        return getattr(value, "__qualname__", type(value).__name__)
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else _shortened.repr(value)


def _parameters(session: Session) -> str:
    """How many arrays and elements, of which dtypes, and where if not in the computer's own memory."""
    params = session.params
    elements = sum(int(array.size) for array in params.arrays)
    dtypes = " and ".join(dict.fromkeys(str(array.dtype) for array in params.arrays))
    many = f"{len(params):,} arrays, " if len(params) > 1 else ""
    frozen = f", {len(session.engine.frozen)} frozen" if session.engine.frozen else ""
    return f"{many}{elements:,} {dtypes}{'' if params.place.backend is None else ' on a GPU'}{frozen}"


def _standing(session: Session) -> list[str]:
    """Counts and the best validation, in words."""
    session.take_answers(wait=False, tell=False)
    ledger = session.ledger
    parts = [f"step {ledger.steps:,}"]
    if ledger.updates:
        parts.append(f"{sum(ledger.updates.values()):,} single updates")
    if ledger.skipped:
        parts.append(f"{ledger.skipped:,} skipped")
    if ledger.best is not None and math.isfinite(ledger.best.loss):
        parts.append(f"best {ledger.best.loss:.6g} at epoch {ledger.best.epoch}")
    return parts
