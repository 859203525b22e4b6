"""``python -m fastadagrad`` and the command `fastadagrad`.

Until the command line is imported, and when all is done, Ctrl-C ends the process as it ends one without a handler, by
the signal: there is nothing to save yet, or any more, and Python would show a traceback of its imports.
"""

import _signal  # `signal` itself takes a moment to import
import sys

_HANDLER = _signal.getsignal(_signal.SIGINT)  # another where Ctrl-C is ignored, as in the background
_OWN = _HANDLER is _signal.default_int_handler
if _OWN:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

from .cli import main as _command_line  # noqa: E402


def main() -> int:
    """Run a command, with Ctrl-C as `fastadagrad.cli.main` takes it; returns the exit status."""
    try:
        if _OWN:
            _signal.signal(_signal.SIGINT, _HANDLER)
        return _command_line()
    finally:
        if _OWN:
            _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
