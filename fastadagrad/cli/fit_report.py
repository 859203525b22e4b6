"""What the command `fit` says of a model: before, while and after it is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..kernels.linear.losses import LOSSES
from . import example_files, screen

if TYPE_CHECKING:
    from ..data.streams import Stream
    from ..data.tables import Table
    from ..linear import LinearModel
    from . import fit_stream

COLUMNS = {  # entries of the history that the rows show, with their headings
    "loss": "progressive",
    "valid_loss": "valid loss",
    **{f"valid_{name}": name for loss in LOSSES.values() for name in loss.monitors},
}


def report_of(model: LinearModel, table: Table | Stream, rows: fit_stream.Rows) -> dict[str, Any]:
    """What there is to report of a fit; `rows` have counted the examples of a stream's epoch."""
    from ..data.tables import Table
    from ..linear.epochs import still_falling

    examples, weight = rows.examples or None, rows.weight
    if isinstance(table, Table):
        examples = len(table.labels)
        weight = None if table.weights is None else float(table.weights.sum())
    return {
        "source": table.name,
        "loss": model.loss,
        "method": model.method,
        "examples": examples,
        "weight": weight,
        "features": model.n_features,
        "classes": None if model.classes_ is None else model.classes_.tolist(),
        "learning_rate": model.learning_rate_,
        "still_falling": still_falling(model.history, model.stopped_because),
        "zero_weights": model.coef_.size - model.nonzero_weights,
        "epochs": len(model.history),
        "best_epoch": model.best_epoch,
        "stopped_because": model.stopped_because,
        "seconds": model.seconds,
        "features_per_second": model.features_per_second,
        "history": model.history,
    }


def description(table: Table | Stream) -> str:
    """The examples in a line, before training."""
    from ..data.tables import CSR, Table

    if not isinstance(table, Table):
        kind = f"hashed into {2**table.hash_bits:,}" if table.hash_bits else "features as they come"
        return f"{table.name}: a stream, {kind}"
    n, width = table.features.shape
    kind = f"{table.features.data.size / n:.4g} of {width:,}" if isinstance(table.features, CSR) else f"{width:,}"
    return f"{table.name}: {n:,} examples, {kind} features each"


class EpochRows:
    """A table that prints a row for each of the first ten epochs and for every tenth; `finish` adds the last rows."""

    def __init__(self, out: screen.Screen) -> None:
        self._out = out
        self._columns: list[str] = []
        self._told = 0.0

    def __call__(self, entry: dict[str, float]) -> None:
        if not self._columns:
            self._columns = [name for name in COLUMNS if name in entry]
            self._out.say(" ".join(["epoch", *(f"{COLUMNS[name]:>12}" for name in self._columns)]))
        if entry["epoch"] <= 10 or entry["epoch"] % 10 == 0:
            self._say(entry)

    def _say(self, entry: dict[str, float], mark: str = "") -> None:
        self._told = entry["epoch"]
        number = f"{int(entry['epoch'])}{mark}"
        self._out.say(" ".join([f"{number:>5}", *(f"{entry[name]:12.5g}" for name in self._columns)]))

    def finish(self, history: list[dict[str, float]], kept: int) -> None:
        """Print the last epoch if it has no row, and the epoch whose weights are kept, marked `*`, if it is another."""
        if history and history[-1]["epoch"] != self._told:
            self._say(history[-1])
        if history and 0 < kept < len(history):
            self._say(history[kept - 1], "*")


def finish_rows(model: LinearModel, show: EpochRows | None, out: screen.Screen) -> None:
    """Print the rows that are still to come; all of them, if a bar was shown while training and not `show`."""
    if show is None:
        show = EpochRows(out)
        for entry in model.history:
            show(entry)
    show.finish(model.history, model.best_epoch)


def print_summary(model: LinearModel, report: dict[str, Any], out: screen.Screen, sparse: bool) -> None:
    """Print what was trained and how well it does, after the rows; if it is to be `sparse`, how sparse it is."""
    from ..linear.epochs import falling

    out.say(
        f"{report['loss']} loss, {'' if report['method'] == 'adagrad' else report['method'] + ', '}"
        f"learning rate {report['learning_rate']:.3g}, "
        f"epoch {model.best_epoch} of {report['epochs']} kept ({model.stopped_because}), "
        f"{report['seconds']:.3g} s ({report['features_per_second'] / 1e6:.3g} million features/s)"
    )
    if sparse or report["zero_weights"]:
        out.say(f"{model.nonzero_weights:,} of {model.coef_.size:,} weights are not 0")
    if text := falling(report["history"], report["stopped_because"]):
        judge = "" if "valid" in report else ", which --valid 0.2 would tell"
        out.say(f"{text}: --epochs {2 * report['epochs']} may help{judge}")
    for name in ("train", "valid", "test"):
        if report.get(name):
            out.say(f"{name}: {example_files.shown(report[name])}")
    for name in ("model", "plot"):
        if name in report:
            out.say(f"{name} written to {report[name]}")
