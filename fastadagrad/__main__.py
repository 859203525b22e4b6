"""``python -m fastadagrad`` and the command `fastadagrad`.

While the command line is imported, and when all is done, Ctrl-C ends the process as it ends one without a handler, by
the signal: there is nothing to save yet, or any more, and Python would show a traceback of its imports.
"""

import _signal  # `signal` itself takes a moment to import
import sys

_BEFORE = _signal.getsignal(_signal.SIGINT)  # another where Ctrl-C is ignored, as in the background


def _on_ctrl_c(handler: object) -> None:
    """Install a handler in the place of Python's own."""
    if _BEFORE is _signal.default_int_handler:
        try:
            _signal.signal(_signal.SIGINT, handler)
        except ValueError:  # in another thread than the first, which is the only one that Ctrl-C reaches
            return


_on_ctrl_c(_signal.SIG_DFL)
try:
    from .cli import main as _command_line
finally:
    _on_ctrl_c(_BEFORE)


def main() -> int:
    """Run a command, as `fastadagrad.cli.main` does; returns the exit status."""
    try:
        return _command_line()
    finally:
        _on_ctrl_c(_signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
