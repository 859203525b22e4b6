"""Checkpoints of a fit: the state of training in a file, from which the same fit goes on with the same bits.

A checkpoint is taken between two epochs or, of a stream, between two buffers. What follows from the examples, such as
scales and orders, is found anew; a learning rate that trials have found is in the file.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.tables import CSR, Table
from ..kernels.linear.weight_arrays import Weights
from ..support import array_file, strict_header
from ..support.array_file import Damaged
from ..support.log import logger
from ..support.numbered_files import Checkpoints, checkpoints_of
from .averaging import Mean
from .averaging import Weights as Pair
from .divided import ALONE, Processes
from .targets import Targets
from .training import Trained

KIND = "fit of a linear model"
MAY_DIFFER = ("max_epochs", "patience", "min_improvement", "warm_start", "validation")  # when a fit goes on
_HEADER: dict[str, strict_header.Types] = {
    "about": dict,
    "learning_rate": float,
    "epoch": int,
    "steps": int,
    "slots": int,
    "visits": list,
    "means": list,
    "run": dict,
    "stream": (dict, type(None)),
}
_RUN: dict[str, strict_header.Types] = {
    "history": list,
    "best_epoch": int,
    "stopped_because": str,
    "patience": dict,
    "warned": bool,
    "seconds": float,
}
_LOSS = (float, int, type(None))
_PATIENCE: dict[str, strict_header.Types] = {"lowest": _LOSS, "best": _LOSS, "failures": int}
_PLACE: dict[str, strict_header.Types] = dict.fromkeys(("buffers", "in_epoch", "values"), int)
_PLACE |= {"random": (dict, type(None)), "progressive": (dict, type(None)), "mean": list}
_SUMS: dict[str, strict_header.Types] = {"total": float, "weight": float, "examples": int, "next": int, "told": int}
_SUMS |= {"before": list, "labels": dict}
_LABELS: dict[str, strict_header.Types] = {"weight": float, "sum": float, "squares": float, "every": int, "seen": int}
_LABELS |= {"sample": list, "counts": list}


class Progress(NamedTuple):
    """What a checkpoint has beside the weights that are trained."""

    epoch: int  # epochs that are done
    run: dict[str, Any]  # of the run of epochs, as `Run.state` gives it
    kept: Pair  # the weights that are kept so far
    means: tuple[Mean, ...] = ()
    visits: tuple[int, ...] = ()  # in the mean, before the first epoch and after each
    stream: dict[str, Any] | None = None  # the place in a stream, in types that JSON has


class Taken:
    """The contents of a checkpoint, checked.

    Raises
    ------
    Damaged, ValueError, OSError
        If the file is not whole, of another kind, or cannot be read.
    """

    def __init__(self, path: str) -> None:
        self.file = path
        self.header, self._arrays = array_file.read(path, KIND)
        try:
            strict_header.check("its header", self.header, _HEADER)
            _check_parts(self.header)
            self.epoch, self.steps, self._slots = (self.header[name] for name in ("epoch", "steps", "slots"))
            if not 0 <= self.epoch <= len(self.header["run"]["history"]) or min(self.steps, self._slots) < 0:
                raise ValueError(f"epoch is {self.epoch}, steps are {self.steps}, and slots {self._slots}")
            self._check_arrays()
        except KeyError as error:
            raise Damaged(f"{path} is not a whole fastadagrad {KIND} file: {error.args[0]} is missing") from None
        except (TypeError, ValueError, IndexError) as error:
            raise Damaged(f"{path} is not a whole fastadagrad {KIND} file: {error}") from None

    def _check_arrays(self) -> None:
        """Raise KeyError or ValueError unless arrays of the same kind are of one shape and dtype."""
        trained, kept = self.trained, self.kept
        of_features, of_intercept = [trained.weights.p, *trained.weights.slots], [trained.intercept.p]
        of_intercept += trained.intercept.slots
        for alike in ([*of_features, kept[0]], [*of_intercept, kept[1]]):
            if any(each.shape != alike[0].shape or each.dtype != alike[0].dtype for each in alike):
                raise ValueError("its weights and slots are of several shapes")
        for mean in self.means:
            fits = mean.weights.shape == kept[0].shape and mean.intercept.shape == kept[1].shape
            if not fits or mean.weights.dtype != np.float64 or mean.intercept.dtype != np.float64:
                raise ValueError("its means are not of the shape of its weights")

    @property
    def learning_rate(self) -> float:
        return float(self.header["learning_rate"])

    @property
    def kept(self) -> Pair:
        """The weights that were kept then."""
        return self._whole("kept"), self._arrays["kept_intercept"]

    @property
    def trained(self) -> Trained:
        """The weights that were trained, and their slots."""
        nothing = np.zeros(0, self._arrays["weights"].dtype)
        weights = Weights(self._whole("weights"), tuple(self._whole(f"slot{i}") for i in range(self._slots)), nothing)
        slots = tuple(self._arrays[f"intercept_slot{i}"] for i in range(self._slots))
        return Trained(weights, Weights(self._arrays["intercept"], slots, nothing), self.steps)

    @property
    def means(self) -> tuple[Mean, ...]:
        """The means of weights."""
        return tuple(
            Mean(self._whole(f"mean{i}"), self._arrays[f"intercept_mean{i}"].copy(), visits)
            for i, visits in enumerate(self.header["means"])
        )

    def _whole(self, name: str) -> NDArray[Any]:
        """An array with a row for each feature; rows that the file leaves out are 0."""
        part = self._arrays[name]
        if "rows" not in self._arrays:
            return part.copy()
        rows, count = self._arrays["rows"], int(self._arrays["features"])
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < count:
            raise ValueError(f"its rows are not among {count} features")
        whole = np.zeros((count, *part.shape[1:]), part.dtype)
        whole[rows] = part
        return whole


def _check_parts(header: dict[str, Any]) -> None:
    """Raise TypeError or ValueError unless all that a header is made of is of its kind."""
    run, place = header["run"], header["stream"]
    strict_header.check("run", run, _RUN)
    strict_header.check("patience", run["patience"], _PATIENCE)
    counts = {name: header[name] for name in ("visits", "means")}
    if place is not None:
        strict_header.check("stream", place, _PLACE)
        counts["mean"] = place["mean"]
        if place["progressive"] is not None:
            strict_header.check("progressive", place["progressive"], _SUMS)
            strict_header.check("labels", place["progressive"]["labels"], _LABELS)
        if place["buffers"] < 0 or (place["buffers"] and place["progressive"] is None and not header["epoch"]):
            raise ValueError(f"buffers are {place['buffers']}")
    for name, found in counts.items():
        if not all(type(each) is int and each >= 0 for each in found):
            raise ValueError(f"{name} are {found!r}")
    if not all(isinstance(entry, dict) and entry.keys() >= {"epoch", "loss"} for entry in run["history"]):
        raise ValueError(f"history is {run['history']!r}")


class FitCheckpoints:
    """The checkpoints of one fit.

    Parameters
    ----------
    files : Checkpoints
        The folder, which has been claimed.
    p : mapping
        The model's parameters.
    processes : Processes
        Those that make the fit together: process 0 writes.
    """

    def __init__(self, files: Checkpoints, p: Mapping[str, Any], processes: Processes = ALONE) -> None:
        self._files, self._processes = files, processes
        self.about: dict[str, Any] = {name: _plain(value) for name, value in p.items() if name not in MAY_DIFFER}
        found = files.newest(lambda path: processes.everywhere(partial(Taken, path)))
        self.taken: Taken | None = None if found is None else found[1]
        self._latest: tuple[int, object] | None = None

    def compare(self, **more: Any) -> None:
        """Compare what the fit is of, the parameters and `more`, with what the checkpoint is of.

        Raises
        ------
        ValueError
            If something differs; the message has all that does.
        """
        self.about |= {name: _plain(value) for name, value in more.items()}
        if self.taken is None:
            return
        before = self.taken.header["about"]
        names = [*before, *(name for name in self.about if name not in before)]
        found = [
            f"{name} was {before.get(name)!r} and is {self.about.get(name)!r}"
            for name in names
            if before.get(name) != self.about.get(name)
        ]
        if found:
            raise ValueError(
                f"{self.taken.file} is of another fit: {', '.join(found)}; a fit goes on with the same examples and "
                "options, but for the number of epochs and patience: give another folder to begin anew"
            )
        logger.info("going on from %s, after epoch %d", self.taken.file, self.taken.epoch)

    @property
    def time_has_passed(self) -> bool:
        return self._files.is_due_by_time()

    def is_due(self, epoch: int) -> bool:
        """Whether a checkpoint is due after the epoch of this number."""
        return self._files.is_due(epoch)

    def save(self, progress: Progress, trained: Trained, learning_rate: float) -> None:
        """Write a checkpoint, unless that of the same place is the latest that was written."""
        place = progress.epoch, (progress.stream or {}).get("buffers")
        if place == self._latest:
            return
        header = {
            "about": self.about,
            "learning_rate": float(learning_rate),
            "epoch": progress.epoch,
            "steps": trained.steps,
            "slots": len(trained.weights.slots),
            "visits": [*progress.visits],
            "means": [mean.visits for mean in progress.means],
            "run": progress.run,
            "stream": progress.stream,
        }
        arrays = _arrays(progress, trained)
        write = partial(array_file.write, kind=KIND, header=header, arrays=arrays)
        self._files.save(lambda path: self._processes.of_leader(partial(write, path)))
        if self._files.failure is None:
            self._latest = place


def _plain(value: Any) -> Any:
    """A value in types that JSON has."""
    if isinstance(value, type):
        return np.dtype(value).name
    return value.item() if isinstance(value, np.generic) else value


def _arrays(progress: Progress, trained: Trained) -> dict[str, NDArray[Any]]:
    """The arrays of a file; rows of features that are 0 in all of them are left out, where these are many."""
    by_feature = {"weights": trained.weights.p, "kept": progress.kept[0]}
    by_feature |= {f"slot{i}": slot for i, slot in enumerate(trained.weights.slots)}
    by_feature |= {f"mean{i}": mean.weights for i, mean in enumerate(progress.means)}
    found: dict[str, NDArray[Any]] = {"intercept": trained.intercept.p, "kept_intercept": progress.kept[1]}
    found |= {f"intercept_slot{i}": slot for i, slot in enumerate(trained.intercept.slots)}
    found |= {f"intercept_mean{i}": mean.intercept for i, mean in enumerate(progress.means)}
    width = len(trained.weights.p)
    touched = np.zeros(width, np.bool)
    for array in by_feature.values():
        bits = np.ascontiguousarray(array).view(f"u{array.itemsize}")  # of -0.0 they are not 0
        touched |= (bits != 0) if bits.ndim == 1 else (bits != 0).any(axis=1)
    if 2 * np.count_nonzero(touched) < width:
        found |= {"rows": np.flatnonzero(touched), "features": np.array(width)}
        by_feature = {name: array[touched] for name, array in by_feature.items()}
    return found | by_feature


def about_parameters(p: Mapping[str, Any]) -> dict[str, Any]:
    """A model's parameters, but for its examples for validation."""
    return {name: _plain(value) for name, value in p.items() if name != "validation"}


def about_examples(table: Table | None) -> Any:
    """What tells examples from others: their number, that of their features, and a checksum; None for no examples."""
    if table is None:
        return None
    features = table.features
    parts = [features.data, features.indices, features.indptr] if isinstance(features, CSR) else [features]
    return [*features.shape, checksum(*parts, table.labels, table.weights)]


def about_targets(targets: Targets) -> list[Any]:
    """What tells the labels of a fit from those of others."""
    classes = None if targets.classes is None else checksum(targets.classes)
    return [targets.loss, classes, targets.centre, targets.spread]


def checksum(*arrays: NDArray[Any] | None) -> str:
    """The CRC-32 of the bytes of some arrays."""
    found = 0
    for array in arrays:
        if array is not None:
            found = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, found)
    return f"{found:08x}"


@contextmanager
def opened(
    folder: Any, every: Any, keep: Any, resume: bool, p: Mapping[str, Any], processes: Processes = ALONE
) -> Iterator[FitCheckpoints | None]:
    """The checkpoints of a fit that is given these arguments; None if it is given no folder.

    Raises
    ------
    TypeError, ValueError, OSError
        If an argument is refused, or the folder.
    Unwritten
        At the end, if the last checkpoint could not be written; the fit is done then.
    """
    files = checkpoints_of(folder, every, keep, resume, logger.warning, processes)
    if files is None:
        yield None
        return
    files.begin()
    try:
        yield FitCheckpoints(files, p, processes)
    finally:
        files.end()
    files.raise_failure()
