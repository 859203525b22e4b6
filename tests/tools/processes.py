"""Python code in a process of its own."""

import os
import subprocess
import sys
import textwrap


def run(code):
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=dict(os.environ))
