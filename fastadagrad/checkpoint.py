"""One file that holds an optimizer: parameters, state, counts, best, history, and where its data stood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import files
from .dataset import Dataset
from .device.arrays import placed_like, to_host
from .engine import Engine
from .ledger import Ledger
from .log import logger

KIND = "optimizer"

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Saved:
    """A file's contents, found to fit."""

    params: Arrays
    slots: dict[str, Arrays]  # by slot and name
    learned: tuple[float, ...]
    late: dict[str, int]
    ledger: Ledger
    run: dict[str, Any] | None


def save(path: str | PathLike[str], engine: Engine, ledger: Ledger, run: Mapping[str, Any] | None) -> None:
    """Write everything to one file; `run` is what an unfinished run and its datasets need to go on."""
    arrays = {f"param/{name}": array for name, array in engine.params}
    for name in engine.params.names:
        arrays |= {f"{slot}/{name}": array for slot, array in engine.state[name].items()}
    if ledger.best_arrays:
        arrays |= {f"best/{name}": a for name, a in zip(engine.params.names, ledger.best_arrays, strict=True)}
    if engine.state.learned:
        arrays["learned"] = np.array(engine.state.learned)
    header = {
        "method": engine.rule.name,
        "names": engine.params.names,
        "ledger": ledger.header(),
        "run": run,
        "late": engine.state.late,
    }
    files.write(path, KIND, header, {name: to_host(array) for name, array in arrays.items()})


def load(path: str | PathLike[str], engine: Engine) -> Saved:
    """Read a file and see that it fits the engine; nothing is changed.

    Raises
    ------
    ValueError
        If it is no such file, or is of another method or of other parameters.
    """
    header, arrays = files.read(path, KIND)
    try:
        if header["method"] != engine.rule.name:
            raise ValueError(f"{path} holds the method {header['method']!r}, not {engine.rule.name!r}")
        if header["names"] != engine.params.names:
            raise ValueError(f"{path} holds the parameters {header['names']}, not {engine.params.names}")

        def part(kind: str) -> Arrays:
            found = {name: arrays[f"{kind}/{name}"] for name in engine.params.names if f"{kind}/{name}" in arrays}
            for name, array in found.items():
                _check_array(path, kind, name, array, engine)
            return found

        best = list(part("best").values())
        saved = Saved(
            params=part("param"),
            slots={slot: part(slot) for slot in {slot: None for s in engine.settings for slot in s.known_slots}},
            learned=tuple(arrays["learned"].tolist()) if engine.state.learned else (),
            late=dict(header["late"]),
            ledger=Ledger.from_header(header["ledger"], best),
            run=header["run"],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a whole fastadagrad {KIND} file: {error!r}") from error
    kinds = {"param", "best", *saved.slots}
    others = sorted({key.partition("/")[0] for key in arrays if "/" in key} - kinds)
    if others:
        raise ValueError(
            f"{path} has the slots {', '.join(others)}, which these hyperparameters have no use for: make an optimizer "
            "of the form of the method that was saved"
        )
    if len(saved.learned) != len(engine.state.learned):
        raise ValueError(f"{path} holds {len(saved.learned)} learned numbers, not {len(engine.state.learned)}")
    for i, name in enumerate(engine.params.names):
        if name not in saved.params:
            raise ValueError(f"{path} lacks the parameter {name!r}")
        missing = [slot for slot in engine.settings[i].form.slots if name not in saved.slots[slot]]
        if missing and i not in engine.frozen:
            raise ValueError(
                f"{path} lacks the {missing[0]} of {name!r}, frozen then: freeze it, load, then thaw it; or, of a "
                "method with several forms, make an optimizer of the one that was saved"
            )
    return saved


def _check_array(path: str | PathLike[str], kind: str, name: str, saved: NDArray[Any], engine: Engine) -> None:
    i = engine.params.names.index(name)
    parameter = engine.params.arrays[i]
    settings = engine.settings[i]
    shape = engine.state.slot_shape(name, kind, settings) if kind in settings.known_slots else parameter.shape
    if saved.shape != shape or saved.dtype != parameter.dtype:
        raise ValueError(
            f"{kind} of {name!r} in {path} is {saved.dtype} of shape {saved.shape}; here it is {parameter.dtype} of "
            f"shape {shape}"
        )


def make_room(saved: Saved, engine: Engine) -> None:
    """Allocate all that `apply` fills; the engine is to be configured anew between the two."""
    saved.ledger.best_arrays[:] = [
        placed_like(array, best) for array, best in zip(engine.params.arrays, saved.ledger.best_arrays, strict=False)
    ]
    engine.state.add({(name, slot): a.shape for slot, of in saved.slots.items() for name, a in of.items()})
    for i in engine.frozen:  # what was frozen then, too, has slots once it is thawed
        name = engine.params.names[i]
        if not any(name in of for of in saved.slots.values()):
            engine.state.slots[name] = {}
    engine.state.late = saved.late


def apply(saved: Saved, engine: Engine) -> None:
    """Set parameters and state, for which there is room."""
    for name, array in engine.params:
        array[...] = saved.params[name]
        for slot, own in engine.state[name].items():
            own[...] = saved.slots[slot].get(name, 0)
    engine.state.learned = saved.learned
    engine.warned.clear()


def describe(datasets: Mapping[str, Dataset]) -> dict[str, Any]:
    """Positions of datasets by role, with the names that their users gave them: a number tells them apart here only."""
    return {role: {"name": _own_name(data), "state": data.state()} for role, data in datasets.items()}


def _own_name(data: Dataset) -> str | None:
    return data.name if data.named else None


def reposition(datasets: Mapping[str, Dataset], saved: Mapping[str, Any], strict: bool) -> None:
    """Take datasets back to where they stood: by name, else by role.

    Raises
    ------
    ValueError
        If `strict` and one is unlike the one that was saved.
    """
    by_name = {entry["name"]: entry for entry in saved.values() if entry["name"] is not None}
    for role, data in datasets.items():
        entry = saved.get(role)
        name = _own_name(data)
        if name is not None and (entry is None or entry["name"] != name):
            entry = by_name.get(name) or entry
        if entry is None:
            continue
        try:
            data.restore(entry["state"])
        except ValueError as error:
            if strict:
                raise ValueError(
                    f"{role}: the iteration that was saved goes on with other data ({error}); to start a new one, use "
                    "load(path, resume=False)"
                ) from error
            logger.info("%s is read from its beginning: it is not what was saved", role)
