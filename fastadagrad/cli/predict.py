"""Score examples with a model that `fit` wrote."""

from __future__ import annotations

import argparse
import itertools
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..support import strict_json
from ..support.log import logger
from . import example_files, predict_stream, screen, streaming

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
    streaming.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a line for each example")
    parser.add_argument("--quiet", action="store_true", help="beside predictions, print warnings and errors only")


def run(arguments: argparse.Namespace) -> int:
    """Run the command: load the model and the examples, and write the predictions."""
    from ..linear import LinearModel

    streaming.check(arguments, streamed=True)
    output = None if arguments.output == "-" else arguments.output
    example_files.check_outputs({"--output": output}, {"MODEL": arguments.model, "SOURCE": arguments.source})
    model = LinearModel.load(arguments.model)
    proba, headed = arguments.proba, arguments.proba and not arguments.no_header
    if predict_stream.can_be_streamed(arguments):
        stream = predict_stream.open_source(arguments, model)
        with _writer(output, model, proba, headed) as write:
            base = example_files.base(arguments.zero_based, model.zero_based)
            found, reason = predict_stream.score(model, stream, base, write)
    else:
        table = _load(arguments, model)
        scores = model.decision_function(table)
        found, reason = _evaluation(model, scores, table)
        if arguments.json:
            _write_json(_as_json(model, scores, proba, found, reason), output)
        else:
            with _writer(output, model, proba, headed) as write:
                write(scores)
    if found and not (arguments.quiet or arguments.json):
        print(example_files.shown(found), file=sys.stderr)
    return 0


def _load(arguments: argparse.Namespace, model: LinearModel) -> Table:
    """Read SOURCE whole."""
    from ..data.loading import load

    if streaming.has_named_columns(arguments, arguments.source):
        return predict_stream.open_source(arguments, model).table()
    streaming.check_unnamed(arguments)
    width, base = model.n_features, example_files.base(arguments.zero_based, model.zero_based)
    how: dict[str, Any] = {"target": arguments.target, "n_features": width, "zero_based": base}
    return load(arguments.source, dtype="float64", labelled=False, hash_bits=model.hash_bits, **how)


@contextmanager
def _writer(output: str | None, model: LinearModel, proba: bool, headed: bool) -> Iterator[predict_stream.Write]:
    """What writes the lines for scores, block by block, to standard output, or to a file that is then replaced."""
    from ..support import outputs

    begun = False

    def lines_for(scores: NDArray[np.float64]) -> Iterator[str]:
        nonlocal begun
        header = [] if begun else _header(model, proba, headed)
        begun = True
        return itertools.chain(header, _as_text(model, scores, proba))

    if output is not None:
        with outputs.replacing(output) as file:
            yield lambda scores: file.writelines(each.encode(errors="backslashreplace") for each in lines_for(scores))
        return

    def write(scores: NDArray[np.float64]) -> None:
        classes = model.classes_ if (headed or not proba) and not begun else None
        screen.write_predictions(lines_for(scores), [] if classes is None else classes.tolist())

    yield write


def _write_json(result: dict[str, Any], output: str | None) -> None:
    from ..support import outputs

    if output is None:
        screen.print_json(result)
        return
    with outputs.replacing(output) as file:
        file.write(f"{strict_json.dumps(result)}\n".encode(errors="backslashreplace"))


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


def _header(model: LinearModel, proba: bool, headed: bool) -> list[str]:
    """The line above all others, if there is one; labels that cannot be written as they are have a warning."""
    classes = [] if model.classes_ is None else model.classes_.tolist()
    if headed or not proba:
        broken = [each for each in map(str, classes) if _LINE_BREAK.search(each)]
        if broken:
            logger.warning("%d labels have line breaks: they are written as \\n or \\r", len(broken))
    if not (proba and headed):
        return []
    return ["\t".join(_plain(label).replace("\t", "\\t") for label in classes) + "\n"]


def _as_text(model: LinearModel, scores: NDArray[np.float64], proba: bool) -> Iterator[str]:
    """A line for each example."""
    if not proba:
        return (f"{_plain(label)}\n" for label in model.labels_of(scores).tolist())
    return ("\t".join(map(repr, row)) + "\n" for row in model.probabilities_of(scores).tolist())


def _plain(label: Any) -> str:
    """A label as text: 1 rather than 1.0, as in files of examples; line breaks in a label are escaped."""
    text = str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)
    return _LINE_BREAK.sub(lambda found: {"\n": "\\n", "\r": "\\r"}[found[0]], text)
