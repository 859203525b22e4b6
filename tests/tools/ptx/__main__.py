"""`python tests/tools/ptx FILE.ptx ...`, and `python -m ptx` where tests/tools is on the path."""

import sys
from pathlib import Path

if not __package__:  # run as a folder: the package is beside it
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from ptx.command import main

if __name__ == "__main__":
    sys.exit(main())
