"""Standard output: text in any encoding, and lines of progress whose failure does not stop more important work."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from ..support import strict_json
from ..support.log import logger


def prepare() -> None:
    """Let standard output escape characters that its encoding lacks, so that a name does not end the program."""
    stream: Any = sys.stdout
    if getattr(stream, "errors", None) in ("strict", "surrogateescape"):
        with suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")


def flush() -> None:
    """Flush standard output, if there is one."""
    if sys.stdout is not None:
        sys.stdout.flush()


def print_json(value: Any) -> None:
    """Print one JSON object, in ASCII if the encoding lacks one of its characters."""
    print(strict_json.dumps(value, encoding=_encoding()))


def width() -> int | None:
    """Return the number of columns of the terminal; None if standard output is no terminal."""
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def write_predictions(lines: Iterable[str], labels: Iterable[Any]) -> None:
    """Write lines of predictions, in which these labels may occur, and warn if a label has to be escaped."""
    if sys.stdout is None:
        raise ValueError("standard output is closed: use --output FILE")
    lacking = [label for label in map(str, labels) if not _has(label)]
    if lacking:
        logger.warning(
            "the encoding of standard output, %s, lacks characters of %s: they are escaped; --output FILE is in UTF-8",
            _encoding(),
            "a label" if len(lacking) == 1 else f"{len(lacking)} labels",
        )
    sys.stdout.writelines(lines)


def _encoding() -> str:
    return getattr(sys.stdout, "encoding", None) or "utf-8"


def _has(text: str) -> bool:
    try:
        text.encode(_encoding())
    except UnicodeEncodeError:
        return False
    return True


class Screen:
    """Prints lines about work in progress; a failure to print is raised at the end, so that the work is not lost.

    Parameters
    ----------
    patient : bool
        Whether there is such work; otherwise a failure is raised at once.
    """

    def __init__(self, patient: bool) -> None:
        self._patient = patient
        self._failure: OSError | None = None

    def say(self, text: str) -> None:
        """Print a line, unless an earlier line could not be printed."""
        if self._failure is not None:
            return
        try:
            print(text, flush=True)
        except OSError as error:
            if not self._patient:
                raise
            self._failure = error

    def close(self) -> None:
        """Raise the error of the line that could not be printed, if there is one."""
        if self._failure is not None:
            raise self._failure
