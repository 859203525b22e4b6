"""Score examples with a model that `fit` wrote."""

from __future__ import annotations

import argparse
import itertools
import re
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..support import strict_json
from ..support.log import logger
from . import example_files, screen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..data.tables import Table
    from ..linear import LinearModel

USAGE = "MODEL SOURCE [options]"
EXAMPLES = (
    "predict model.npz new.svm --output predictions.txt",
    "predict model.npz new.svm --proba",
    "predict model.npz - --json",
)
_LINE_BREAK = re.compile(r"[\r\n]")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("model", metavar="MODEL", help="file that fit --model wrote")
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="examples, as for fit, or - for standard input; they may have labels, to evaluate",
    )
    parser.add_argument("--output", metavar="FILE", help="write there, in UTF-8, instead of to standard output (-)")
    parser.add_argument("--proba", action="store_true", help="probabilities: tabs between columns, labels above them")
    parser.add_argument("--no-header", action="store_true", help="with --proba, no line with the labels")
    example_files.add_arguments(parser, "as in the file the model was trained on")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a line for each example")
    parser.add_argument("--quiet", action="store_true", help="beside predictions, print warnings and errors only")


def run(arguments: argparse.Namespace) -> int:
    """Run the command: load the model and the examples, and write the predictions."""
    from ..data.loading import load
    from ..linear import LinearModel
    from ..support import outputs

    output = None if arguments.output == "-" else arguments.output
    example_files.check_outputs({"--output": output}, {"MODEL": arguments.model, "SOURCE": arguments.source})
    model = LinearModel.load(arguments.model)
    width, base = len(model.coef_), example_files.base(arguments.zero_based, model.zero_based)
    how: dict[str, Any] = {"target": arguments.target, "n_features": width, "zero_based": base}
    table = load(arguments.source, dtype="float64", labelled=False, hash_bits=model.hash_bits, **how)
    scores = model.decision_function(table)
    found, reason = _evaluation(model, scores, table)
    proba = arguments.proba
    if arguments.json:
        result = _as_json(model, scores, proba, found, reason)
        if output is None:
            screen.print_json(result)
        lines: Iterable[str] = (f"{strict_json.dumps(result)}\n",)
    else:
        headed = proba and not arguments.no_header
        lines = _as_text(model, scores, proba, headed)
        if output is None:
            classes = model.classes_ if headed or not proba else None
            screen.write_predictions(lines, [] if classes is None else classes.tolist())
    if output is not None:
        with outputs.replacing(output) as file:
            file.writelines(line.encode(errors="backslashreplace") for line in lines)
    if found and not (arguments.quiet or arguments.json):
        print(example_files.shown(found), file=sys.stderr)
    return 0


def _evaluation(
    model: LinearModel, scores: NDArray[np.float64], table: Table
) -> tuple[dict[str, float] | None, str | None]:
    """The monitors, if there are labels; or, if the labels cannot be compared, the reason."""
    import numpy as np

    if table.labels.dtype.kind == "f" and np.isnan(table.labels).all():
        return None, None
    try:
        return model.evaluation_of(scores, table.labels), None
    except ValueError as error:
        logger.warning("the predictions are not evaluated: %s", error)
        return None, str(error)


def _as_json(
    model: LinearModel,
    scores: NDArray[np.float64],
    proba: bool,
    found: dict[str, float] | None,
    reason: str | None,
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "loss": model.loss,
        "classes": None if model.classes_ is None else model.classes_.tolist(),
        "predictions": model.labels_of(scores).tolist(),
    }
    if proba:
        result["probabilities"] = model.probabilities_of(scores).tolist()
    result["evaluation"] = found
    return result if reason is None else {**result, "not_evaluated": reason}


def _as_text(model: LinearModel, scores: NDArray[np.float64], proba: bool, headed: bool) -> Iterator[str]:
    classes = [] if model.classes_ is None else model.classes_.tolist()
    if headed or not proba:
        broken = [each for each in map(str, classes) if _LINE_BREAK.search(each)]
        if broken:
            logger.warning("%d labels have line breaks: they are written as \\n or \\r", len(broken))
    if not proba:
        return (f"{_plain(label)}\n" for label in model.labels_of(scores).tolist())
    header = ["\t".join(_plain(label).replace("\t", "\\t") for label in classes) + "\n"] if headed else []
    rows = model.probabilities_of(scores).tolist()
    return itertools.chain(header, ("\t".join(map(repr, row)) + "\n" for row in rows))


def _plain(label: Any) -> str:
    """A label as text: 1 rather than 1.0, as in files of examples; line breaks in a label are escaped."""
    text = str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)
    return _LINE_BREAK.sub(lambda found: {"\n": "\\n", "\r": "\\r"}[found[0]], text)
