"""Options of sources that are read a block at a time, and whether a command reads one so or whole."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any, Literal

from ..support import contents, numbered_files
from ..support.log import logger

if TYPE_CHECKING:
    from ..data.roles import Columns
    from ..data.streams import Stream

SHARE = 8  # a file is streamed if it is larger than the memory at hand, divided by this
KEYWORDS = ("format", "weight", "drop", "categories", "missing", "threads")  # options that are keywords of a Stream
OF_FIT = ("stream", "resume", "classes", "checkpoint", "every", "keep")  # of training, and no keywords of a model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of sources with named columns and of streams."""
    group = parser.add_argument_group("CSV, Parquet, Arrow IPC and streams")
    group.add_argument(
        "--format",
        choices=("svmlight", "csv", "parquet", "arrow"),
        help="of SOURCE (by suffix and content; other text is CSV if its first line names --target)",
    )
    group.add_argument("--weight", metavar="COLUMN", help="column of the examples' weights (all weigh 1)")
    group.add_argument("--drop", metavar="A,B", type=_names, default=[], help="columns to leave out (none)")
    text = "columns of numbers or dates to take as strings, which are hashed (strings alone)"
    group.add_argument("--categories", metavar="A,B", type=_names, default=[], help=text)
    text = "missing numbers, not of svmlight text: refused, or 0 or the column's mean stands for them (refuse)"
    group.add_argument("--missing", choices=("refuse", "zero", "mean"), default="refuse", help=text)
    group.add_argument(
        "--threads", type=int, metavar="N", help="threads that read and parse ahead (one a core, up to 4)"
    )


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of training on streams, and of training that goes on."""
    group = parser.add_argument_group("going on")
    text = "write the state of training to files in this folder, from which the same command, with --resume, goes on"
    group.add_argument("--checkpoint", metavar="DIR", help=text)
    text = "after so many epochs (1), or whenever a time has passed: 30s, 5min, 2h; of a stream within epochs, too"
    group.add_argument("--every", metavar="N|TIME", help=text)
    group.add_argument("--keep", type=int, metavar="K", help="keep the newest K files (2)")
    text = (
        "go on from the newest of --checkpoint, if there is one; or from this model, which was trained on a stream; "
        "MODEL implies --stream"
    )
    group.add_argument("--resume", nargs="?", const=True, metavar="MODEL", help=text)
    group = parser.add_argument_group("streams")
    text = "train a block at a time, in bounded memory (if SOURCE is larger than an eighth of the memory at hand)"
    group.add_argument("--stream", action=argparse.BooleanOptionalAction, default=None, help=text)
    text = "all labels of a stream, as -1,1, for standard input, of whose first part not all may occur"
    group.add_argument("--classes", metavar="A,B", type=_names, help=text)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def open_stream(
    arguments: argparse.Namespace,
    source: str,
    *,
    hash_bits: int | None,
    zero_based: bool | Literal["auto"],
    n_features: int | None = None,
    labelled: bool = True,
    classes: list[str] | None = None,
    like: Columns | None = None,
) -> Stream:
    """The stream of a source, by the options of a command; `like` has the columns of the training."""
    from ..data.streams import Stream

    return Stream(
        source,
        target=arguments.target,
        hash_bits=hash_bits,
        zero_based=zero_based,
        n_features=n_features,
        labelled=labelled,
        classes=classes,
        columns=like,
        **{name: getattr(arguments, name) for name in KEYWORDS},
    )


def check_unnamed(arguments: argparse.Namespace) -> None:
    """Refuse options of named columns for a source that has none.

    Raises
    ------
    ValueError
        If one is given; the message names it.
    """
    for name in ("weight", "drop", "categories"):
        if getattr(arguments, name):
            raise ValueError(f"--{name} names columns of CSV, Parquet or Arrow, and {arguments.source} has none")
    if arguments.missing != "refuse":
        raise ValueError(f"--missing fills numbers of CSV, Parquet or Arrow, and {arguments.source} is none of these")


def check(arguments: argparse.Namespace, streamed: bool) -> None:
    """Check options of streams, which a source that is read whole does not need.

    Raises
    ------
    ValueError
        If one is out of range, or if labels are named of a source that is read whole.
    """
    from ..data.ahead import MOST_THREADS
    from ..support.checks import whole_number

    if arguments.threads is not None:
        whole_number("threads", arguments.threads, 0, MOST_THREADS)
    if not streamed and getattr(arguments, "classes", None) is not None:
        raise ValueError(
            "--classes names the labels of a stream, and of what is read whole they are found: leave it out, or add "
            "--stream"
        )


def has_named_columns(arguments: argparse.Namespace, source: str) -> bool:
    """Whether a source has columns with names, by --format, its contents, or --target."""
    from ..data.loading import BUILT_IN
    from ..data.loading import has_named_columns as found

    if arguments.format is not None:
        return bool(arguments.format != "svmlight")
    if source in BUILT_IN or (source != contents.STDIN and not os.path.exists(source)):
        return False
    return found(source, arguments.target)


def checkpoints_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The keywords of `fit` for checkpoints, checked before examples are read.

    Raises
    ------
    ValueError, OSError
        If an option of checkpoints is given without their folder, or --resume with neither a folder nor a model; or if
        the folder is refused.
    """
    folder, resume = arguments.checkpoint, arguments.resume
    given = {name: getattr(arguments, name) for name in ("every", "keep") if getattr(arguments, name) is not None}
    if folder is None:
        if given:
            raise ValueError(f"--{min(given)} is of checkpoints: name their folder, --checkpoint DIR")
        if resume is True:
            raise ValueError("--resume goes on from --checkpoint DIR, or from a model, --resume MODEL: name one")
        return {}
    found = {"every": 1, "keep": 2, "resume": resume is not None, **given}
    numbered_files.checkpoints_of(folder, tell=logger.warning, **found)  # makes the folder, or refuses it
    return {"checkpoint": folder, **found}


def is_wanted(arguments: argparse.Namespace) -> bool:
    """Whether `fit` is to train on a stream: as --stream says, or else if the file is large.

    Raises
    ------
    ValueError
        If --resume MODEL is given together with --no-stream.
    """
    from ..data import memory_at_hand
    from ..data.loading import BUILT_IN

    goes_on = isinstance(arguments.resume, str)
    if goes_on and arguments.stream is False:
        raise ValueError("--resume goes on with a stream: leave --no-stream out")
    if arguments.stream is not None or goes_on:
        return True if arguments.stream is None else bool(arguments.stream)
    source = arguments.source
    if source in BUILT_IN or not contents.is_repeatable(source):
        return False
    if contents.peek(source).startswith((*contents.ZIP, contents.NPY)):
        return False
    size = os.path.getsize(source)
    if size <= memory_at_hand.LITTLE:
        return False
    at_hand = memory_at_hand.bytes_at_hand()
    return at_hand is not None and size > at_hand // SHARE
