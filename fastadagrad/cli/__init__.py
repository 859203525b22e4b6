"""The command line: a module for each command, which imports what it needs only when it runs."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn

from ..mpi.launched import follows
from ..support.hints import hint
from ..support.interrupts import whole
from ..support.log import IN_REPORT
from ..version import __version__
from . import option_words, screen

COMMANDS = ("fit", "predict", "compare", "bench", "plan", "info", "warmup")
INTERRUPTED, TERMINATED, FAILED = 130, 143, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; by default the process's.

    Returns
    -------
    int
        Exit status: 0, 2 after an error (one line on stderr describes it), 130 after Ctrl-C, 143 after SIGTERM.
    """
    terminated: list[int] = []
    told: Callable[[str], str] = str  # a message of the library, in words of the command line
    try:
        with _terminated_as_by_ctrl_c(terminated):
            screen.prepare()
            with whole():  # Ctrl-C waits: NumPy's C code loses it while it is imported, or makes another error of it
                parser = _make_parser()  # imports the commands, which takes a moment
            if not (sys.argv[1:] if argv is None else argv):
                parser.print_help(sys.stderr)
                parser.exit(FAILED)
            arguments = parser.parse(argv)
            told = partial(option_words.in_options, parser=parser.commands[arguments.command], given=arguments)
            _log_to_stderr(logging.WARNING if getattr(arguments, "quiet", False) else logging.INFO)
            with whole():
                importlib.import_module("numba")
            status: int = importlib.import_module(f".{arguments.command}", __name__).run(arguments)
            screen.flush()
        return TERMINATED if terminated and status == INTERRUPTED else status
    except KeyboardInterrupt:
        return _fail("interrupted", TERMINATED if terminated else INTERRUPTED)
    except OSError as error:
        if isinstance(error, BrokenPipeError) and not error.filename:  # the reader of the output has gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", FAILED)
    except (ArithmeticError, ImportError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        if _is_of_an_interrupt(error):
            return _fail("interrupted", TERMINATED if terminated else INTERRUPTED)
        return _fail(told(str(error)) or type(error).__name__, FAILED)


def _is_of_an_interrupt(error: BaseException | None) -> bool:
    """Whether an error came of Ctrl-C: packages make another of whatever is raised while they are imported."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _raise_again(lost: Any) -> None:
    """Send a signal again a moment later, where its exception is lost: raised in a callback, as those of imports."""
    if not issubclass(lost.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    number = signal.SIGTERM if issubclass(lost.exc_type, _Terminated) else signal.SIGINT
    again = threading.Timer(0.01, _send, (number,))
    again.daemon = True
    again.start()


def _send(number: int) -> None:
    """Send a signal to the thread that handles it, so that what this waits for ends."""
    main_thread = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main_thread is not None:
        signal.pthread_kill(main_thread, number)
    else:
        signal.raise_signal(number)


class _Terminated(KeyboardInterrupt):
    """SIGTERM; of a KeyboardInterrupt itself that has passed through `exec`, Python makes an end by SIGINT."""


@contextmanager
def _terminated_as_by_ctrl_c(came: list[int]) -> Iterator[None]:
    """Let SIGTERM end a command as Ctrl-C does, so that the same results are kept; `came` has it afterwards.

    A shell starts jobs in the background with Ctrl-C ignored, so that SIGTERM ends them; batch systems send it, too.
    """
    alone = threading.current_thread() is threading.main_thread()
    if not alone or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        came.append(number)
        raise _Terminated

    signal.signal(signal.SIGTERM, interrupt)
    before, sys.unraisablehook = sys.unraisablehook, _raise_again
    try:
        yield
    finally:
        sys.unraisablehook = before
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class _Parser(argparse.ArgumentParser):
    """A parser that accepts no abbreviated options; it says what was probably meant by an option that is unknown.

    The usage that it prints before an error is a single line, so that the error is easy to find. Of the processes that
    mpiexec starts with the same arguments, the first prints and fails for all.
    """

    def __init__(self, *rest: Any, **more: Any) -> None:
        super().__init__(*rest, **{**more, "allow_abbrev": False})
        self.commands: dict[str, _Parser] = {}
        # An option's value may begin with a negative number, as -1,1 does, which Python 3.14 takes by itself.
        self._negative_number_matcher = re.compile(r"-\.?[0-9]")

    def parse(self, argv: Sequence[str] | None) -> argparse.Namespace:
        """Parse a command and its arguments; what it does not take is an error of that command."""
        found, rest = self.parse_known_args(argv)
        if rest:
            self.commands[found.command].error(option_words.unknown(rest, found.command, self.commands))
        return found

    def _print_message(self, message: str, file: Any = None) -> None:
        if not follows():
            super()._print_message(message, file)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End the process."""
        super().exit(0 if follows() else status, message)

    def error(self, message: str) -> NoReturn:
        chosen = re.search(r"invalid choice: '?(.+?)'? \(choose from (.+)\)$", message)
        slip = hint(chosen[1], re.findall("[^ ,']+", chosen[2])) if chosen else None
        super().error(message if slip is None else f"{message}: {slip}")


def _make_parser() -> _Parser:
    parser = _Parser(prog="fastadagrad", description="ADAGRAD at the speed of memory.")
    parser.epilog = "fastadagrad COMMAND --help tells more of each, with examples"
    parser.add_argument("--version", action="version", version=f"fastadagrad {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name in COMMANDS:
        module = importlib.import_module(f".{name}", __name__)
        summary = (module.__doc__ or "").strip().splitlines()[0]
        examples = "\n".join(["examples:", *(f"  fastadagrad {each}" for each in module.EXAMPLES)])
        one = subparsers.add_parser(
            name,
            help=summary,
            description=summary,
            usage=f"fastadagrad {name} {module.USAGE}",
            epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(one)
        parser.commands[name] = one
    return parser


def _log_to_stderr(level: int) -> None:
    logger = logging.getLogger("fastadagrad")
    for handler in [h for h in logger.handlers if getattr(h, "of_command_line", False)]:
        logger.removeHandler(handler)
    handler = logging.StreamHandler()
    vars(handler)["of_command_line"] = True
    handler.addFilter(lambda record: not getattr(record, IN_REPORT, False))
    handler.setFormatter(logging.Formatter("fastadagrad: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(level)


def _fail(message: str, status: int) -> int:
    print("fastadagrad:", " ".join(message.split()), file=sys.stderr)
    return status
