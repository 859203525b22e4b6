"""Predict what a step of several processes (comm=) costs: bytes, seconds and memory of each.

A table has a line for each number of processes: what one sends in a step, the seconds that this takes, those of the
messages' latency and of the work in memory, and the memory that one needs. The formulas are those of
`fastadagrad.mpi.cost`, and the loss and its gradient are not in them.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from . import quantities, screen

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..mpi.cost import Cost, Job

USAGE = "[options]"
EXAMPLES = (
    "plan --params 100M",
    "plan --params 1e9 --ranks 1,8,64 --bandwidth 25GB/s --latency 2us --plot scaling.png",
    "plan --rows 65536 --width 64 --table-rows 10M --sharded --method adam --json",
)
RANKS = "1,2,4,8,16,64,256,1000"
BITS_16 = ("float16", "bfloat16")
DTYPES = ("float32", "float64", *BITS_16)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""

    def amount(flag: str, kind: Any, default: Any, text: str, metavar: str = "N") -> None:
        told = text if default is None else f"{text} ({default})"
        parser.add_argument(flag, type=kind, default=default, metavar=metavar, help=told)

    amount("--ranks", quantities.counts, RANKS, "numbers of processes", "N,N,...")
    amount("--params", quantities.count, "0", "elements of all parameters with dense gradients, such as 100M")
    amount("--arrays", quantities.count_of_some, "1", "how many arrays these parameters are")
    amount("--rows", quantities.count, "0", "rows that a step touches, as all processes together name them")
    amount("--width", quantities.count_of_some, "1", "elements of a row")
    amount("--table-rows", quantities.count_of_some, None, "rows of the table (as many as a step touches)")
    parser.add_argument("--sharded", action="store_true", help="each process has its own rows alone: fastadagrad.shard")
    amount("--read-rows", quantities.count, None, "rows whose values the loss asks for (as many as a step touches)")
    sent = "what a process can send, and receive, in a second"
    amount("--bandwidth", quantities.bandwidth, "12.5GB/s", sent, "BYTES")
    amount("--latency", quantities.seconds, "5us", "what a message takes beside its bytes", "TIME")
    moved = "what a process can read and write in its memory in a second, on all of its threads"
    amount("--memory-bandwidth", quantities.bandwidth, "20GB/s", moved, "BYTES")
    amount("--method", _method, "adagrad", "whose state is kept", "NAME")
    amount("--momentum", float, "0", "any but 0 adds a velocity to the state", "X")
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="of the parameters (float32)")
    drawn = "draw the seconds of a step of 1 to 1,000 processes, or more if --ranks has: .png, .svg or .pdf"
    parser.add_argument("--plot", metavar="OUT", help=drawn)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _method(text: str) -> str:
    """The name of a method that there is."""
    from ..engine.registry import rule_names
    from ..support import hints

    name = text.lower()
    if name not in rule_names():
        meant = hints.hint(text, rule_names(), hints.METHODS) or f"there are {', '.join(rule_names())}"
        raise argparse.ArgumentTypeError(f"there is no method {text!r}: {meant}")
    return name


def run(arguments: argparse.Namespace) -> int:
    """Run the command: compute, print, and draw."""
    from ..mpi.cost import Job, cost_of
    from ..support import figures

    _check(arguments)
    if arguments.plot is not None:
        figures.check_path(arguments.plot)
    jobs = [Job(ranks, **_about(arguments)) for ranks in arguments.ranks]
    costs = [cost_of(job) for job in jobs]
    if arguments.plot is not None:
        figures.save(_picture(jobs[-1]), arguments.plot)
    if arguments.json:
        screen.print_json(_report(arguments, costs))
    else:
        _print(arguments, costs)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Raise ValueError for options that make no sense together."""
    if not (arguments.params or arguments.rows):
        raise ValueError("nothing is stepped: give --params N for dense gradients, or --rows N and --width N, or both")
    if not arguments.rows:
        given = [name for name in ("table_rows", "read_rows") if getattr(arguments, name) is not None]
        idle = [*(["width"] if arguments.width != 1 else []), *given, *(["sharded"] if arguments.sharded else [])]
        if idle:
            raise ValueError(f"--{idle[0].replace('_', '-')} is about rows: give --rows N, too, or leave it out")
    if not arguments.params and arguments.arrays != 1:
        raise ValueError("--arrays is about dense gradients: give --params N, too, or leave it out")
    if arguments.arrays > max(arguments.params, 1):
        raise ValueError(f"--arrays must be at most --params, {arguments.params}, not {arguments.arrays}")


def _about(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of a `Job`, but for the number of processes."""
    names = "bandwidth", "latency", "memory_bandwidth", "params", "arrays", "rows", "width", "table_rows", "sharded"
    item, slots = _bytes_of_an_element(arguments.method, arguments.momentum, arguments.dtype)
    about = {name: getattr(arguments, name) for name in (*names, "read_rows")}
    return {**about, "item_bytes": item, "slot_bytes": slots}


def _bytes_of_an_element(method: str, momentum: float, dtype: str) -> tuple[int, int]:
    """Bytes of an element of a parameter, and of its state."""
    import numpy as np

    from ..engine.options import make_settings
    from ..engine.registry import rule_named
    from ..kernels.memory.storage import PRECISIONS, storages_of

    computed = np.dtype(PRECISIONS[dtype].real)
    settings, _ = make_settings(rule_named(method), {"momentum": momentum})
    slots = [storage.memory(computed).itemsize for storage in storages_of(settings.form, settings.slots)]
    return 2 if dtype in BITS_16 else computed.itemsize, sum(slots)


def _report(arguments: argparse.Namespace, costs: list[Cost]) -> dict[str, Any]:
    about = {"method": arguments.method, "momentum": arguments.momentum, "dtype": arguments.dtype}
    lines = [{**vars(cost), "seconds": cost.seconds, "memory_bytes": cost.memory_bytes} for cost in costs]
    written = {} if arguments.plot is None else {"plot": arguments.plot}
    return {**about, **_about(arguments), "lines": lines, **written}


def _print(arguments: argparse.Namespace, costs: list[Cost]) -> None:
    kind = arguments.method + (" with momentum" if arguments.momentum else "")
    parts = [f"{arguments.params:,} parameters with dense gradients"] if arguments.params else []
    parts += [f"{arguments.rows:,} rows of {arguments.width:,}"] if arguments.rows else []
    print(f"{kind}, {arguments.dtype}: {' and '.join(parts)} in a step")
    speeds = [f"{_shown(speed, _BYTES)}/s" for speed in (arguments.bandwidth, arguments.memory_bandwidth)]
    latency = _shown(arguments.latency, _TIMES)
    print(f"a process: {speeds[0]} to others, {latency} a message, {speeds[1]} in memory\n")
    names = "ranks", "sent", "messages", "transfer", "latency", "compute", "step", "state", "memory"
    print(f"{names[0]:>7}" + "".join(f"{name:>10}" for name in names[1:]))
    for cost in costs:
        times = cost.transfer_seconds, cost.latency_seconds, cost.compute_seconds, cost.seconds
        cells = [_shown(cost.bytes_sent, _BYTES), f"{cost.messages:,}", *(_shown(each, _TIMES) for each in times)]
        cells += [_shown(each, _BYTES) for each in (cost.state_bytes, cost.memory_bytes)]
        print(f"{cost.ranks:>7,}" + "".join(f"{cell:>10}" for cell in cells))
    print("\nThe loss and its gradient come on top: each process computes them on its share of a batch.")
    if arguments.plot is not None:
        print(f"picture: {arguments.plot}")


_BYTES = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0))
_LINES = (("step", "-", 3.5), ("compute", "--", 2.0), ("transfer", "-.", 2.0), ("latency", ":", 2.0))  # of the picture
_TIMES = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9))


def _shown(number: float, units: tuple[tuple[str, float], ...]) -> str:
    unit, size = next((each for each in units if number >= each[1]), units[-1])
    return f"{number / size:.3g} {unit}" if number else "0"


def _picture(largest: Job) -> Figure:
    """Seconds of a step, and of its parts, by the number of processes; narrow, so that a telephone shows all of it."""
    from dataclasses import replace

    import numpy as np

    from ..mpi.cost import cost_of
    from ..support.figures import PALETTE, dress, new_figure

    ranks = np.unique(np.geomspace(1, max(1000, largest.ranks), 200).round().astype(int)).tolist()
    costs = [cost_of(replace(largest, ranks=each)) for each in ranks]
    figure = new_figure(4.8, 4.4)
    axes = figure.subplots()
    for (name, style, width), color in zip(_LINES, PALETTE, strict=False):
        field = "seconds" if name == "step" else f"{name}_seconds"
        times = np.array([getattr(cost, field) for cost in costs])
        axes.loglog(ranks, np.where(times > 0, times, np.nan), style, color=color, linewidth=width, label=name)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    axes.yaxis.set_major_formatter(lambda x, _: _shown(x * (1 + 1e-9), _TIMES))  # 1e-3 may come as 0.99999e-3
    axes.tick_params(labelsize=11)
    axes.set_xlabel("processes", fontsize=12)
    axes.set_title("Predicted time of a step, and its parts", fontsize=12)
    dress(axes)
    figure.legend(loc="outside lower center", ncols=2, fontsize=12, frameon=False)
    return figure
