"""Commands that start a program in several processes of MPI, more than there are cores, too."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

MPIEXEC = shutil.which("mpiexec", path=Path(sys.executable).parent) or shutil.which("mpiexec")


def environment():
    """In which a process of MPICH that waits gives its core to the others at once."""
    return {**os.environ, "MPIR_CVAR_POLLS_BEFORE_YIELD": "1"}


def under_mpiexec(size, *command):
    """The command that starts Python so many times, each with the same command."""
    version = subprocess.run([MPIEXEC, "--version"], capture_output=True, check=False).stdout
    more = ["--allow-run-as-root", "--oversubscribe"] if b"Open MPI" in version else []
    return [MPIEXEC, *more, "-n", str(size), sys.executable, *map(str, command)]
