"""Score examples with a model that `fit` wrote."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .. import strict_json
from . import examples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..linear import LinearModel
    from ..tables import Table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("model", metavar="MODEL", help="file that fit --model wrote")
    parser.add_argument("source", metavar="SOURCE", help="examples, as for fit; their labels only serve to evaluate")
    parser.add_argument("--output", metavar="FILE", help="write there instead of to standard output")
    parser.add_argument("--proba", action="store_true", help="probabilities, a column for each class")
    examples.add_arguments(parser, "as in the file the model was trained on")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a line for each example")
    parser.add_argument("--quiet", action="store_true", help="log warnings only")


def run(arguments: argparse.Namespace) -> int:
    """Load the model and the examples, and write the predictions."""
    from .. import outputs
    from ..linear import LinearModel
    from ..sources import load

    model = LinearModel.load(arguments.model)
    width, base = len(model.coef_), examples.base(arguments.zero_based, model.zero_based)
    table = load(arguments.source, dtype="float64", target=arguments.target, n_features=width, zero_based=base)
    scores = model.decision_function(table)
    found = _evaluation(model, scores, table)
    proba = arguments.proba
    lines = _as_json(model, scores, proba, found) if arguments.json else _as_text(model, scores, proba)
    if arguments.output is None:
        sys.stdout.writelines(lines)
    else:
        with outputs.replacing(arguments.output) as file:
            file.writelines(line.encode() for line in lines)
    if found and not (arguments.quiet or arguments.json):
        print(", ".join(f"{name} {value:.5g}" for name, value in found.items()), file=sys.stderr)
    return 0


def _evaluation(model: LinearModel, scores: NDArray[np.float64], table: Table) -> dict[str, float] | None:
    """Monitors, if the labels are such as the model knows; unlabelled files have some filler."""
    try:
        return model.evaluation_of(scores, table.labels)
    except ValueError:
        return None


def _as_json(
    model: LinearModel, scores: NDArray[np.float64], proba: bool, found: dict[str, float] | None
) -> Iterator[str]:
    result: dict[str, Any] = {
        "loss": model.loss,
        "classes": None if model.classes_ is None else model.classes_.tolist(),
        "predictions": model.labels_of(scores).tolist(),
    }
    if proba:
        result["probabilities"] = model.probabilities_of(scores).tolist()
    result["evaluation"] = found
    yield strict_json.dumps(result) + "\n"


def _as_text(model: LinearModel, scores: NDArray[np.float64], proba: bool) -> Iterator[str]:
    if not proba:
        return (f"{_plain(label)}\n" for label in model.labels_of(scores).tolist())
    return ("\t".join(map(repr, row)) + "\n" for row in model.probabilities_of(scores).tolist())


def _plain(label: Any) -> str:
    """1 rather than 1.0, as in the files that labels come from."""
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)
