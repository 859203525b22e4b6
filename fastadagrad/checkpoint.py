"""One file that holds an optimizer: parameters, state, counts, best, history, and where its data stood."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import files
from .dataset import Dataset
from .engine import Engine
from .ledger import Ledger

KIND = "optimizer"


def save(path: str | PathLike[str], engine: Engine, ledger: Ledger, run: Mapping[str, Any] | None) -> None:
    """Write everything to one file; `run` is what an unfinished run and its datasets need to go on."""
    arrays = {f"param/{name}": array for name, array in engine.params}
    for name in engine.params.names:
        arrays |= {f"{slot}/{name}": array for slot, array in engine.state[name].items()}
    if ledger.best_arrays:
        arrays |= {f"best/{name}": a for name, a in zip(engine.params.names, ledger.best_arrays, strict=True)}
    header = {"method": engine.rule.name, "names": engine.params.names, "ledger": ledger.header(), "run": run}
    files.write(path, KIND, header, arrays)


def load(path: str | PathLike[str], engine: Engine) -> tuple[Ledger, dict[str, Any] | None]:
    """Set parameters and state from a file; nothing is changed if it does not fit.

    Raises
    ------
    ValueError
        If it is no such file, or is of another method or of other parameters.
    """
    header, arrays = files.read(path, KIND)
    if header["method"] != engine.rule.name:
        raise ValueError(f"{path} holds the method {header['method']!r}, not {engine.rule.name!r}")
    if header["names"] != engine.params.names:
        raise ValueError(f"{path} holds the parameters {header['names']}, not {engine.params.names}")
    targets: dict[str, NDArray[Any]] = {f"param/{name}": array for name, array in engine.params}
    for name in engine.params.names:
        targets |= {f"{slot}/{name}": array for slot, array in engine.state[name].items()}
    for key, target in targets.items():
        saved = arrays.get(key)
        if saved is None and not key.startswith("velocity/"):
            raise ValueError(f"{path} lacks {key!r}: it was saved under other hyperparameters (frozen?)")
        if saved is not None and (saved.shape != target.shape or saved.dtype != target.dtype):
            raise ValueError(
                f"{key!r} in {path} is {saved.dtype} of shape {saved.shape}; here it is {target.dtype}, {target.shape}"
            )
    best = [np.array(arrays[f"best/{name}"]) for name in engine.params.names if f"best/{name}" in arrays]
    ledger = Ledger.from_header(header["ledger"], best)
    for key, target in targets.items():
        target[...] = arrays.get(key, 0)
    return ledger, header["run"]


def describe(datasets: Mapping[str, Dataset]) -> dict[str, Any]:
    """Positions of datasets by role, with their names."""
    return {role: {"name": data.name, "state": data.state()} for role, data in datasets.items()}


def reposition(datasets: Mapping[str, Dataset], saved: Mapping[str, Any]) -> None:
    """Take datasets back to where they stood: by name, else by role."""
    by_name = {entry["name"]: entry for entry in saved.values() if entry["name"] is not None}
    for role, data in datasets.items():
        entry = by_name.get(data.name) or saved.get(role)
        if entry is not None:
            data.restore(entry["state"])
