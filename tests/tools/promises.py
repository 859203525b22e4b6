"""The counts of docs/promises.md: runs the long forms of tests, and writes what they print into the table.

``python tests/tools/promises.py killed forks`` runs the commands of the table that begin with one of these names, one
after the other; without names it runs all, which takes hours. What is written of a command is the last line that it
prints, without the seconds, and on which processor and on which day that was. A command that fails changes nothing.
"""

import argparse
import datetime
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

from pages import DOCS, codes, table
from places import ROOT, TOOLS

HEADING = "Counts"
SECONDS = re.compile(r",?( in)? [\d.]+ s$")


def processor():
    """The name of this machine's processor and how many cores of it there are."""
    names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE) or [
        platform.processor()
    ]
    return f"{names[0]}, {os.cpu_count()} cores"


def counted(command):
    """What a command prints last; None if it fails."""
    done = subprocess.run(
        [sys.executable, TOOLS / command.split()[0], *command.split()[1:]], capture_output=True, text=True, cwd=ROOT
    )
    sys.stdout.write(done.stdout)
    if done.returncode or not done.stdout.strip():
        sys.stderr.write(done.stderr)
        return None
    return SECONDS.sub("", done.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="of programs, without .py")
    names, failed = parser.parse_args().names, 0
    page = DOCS / "promises.md"
    for what, command, *_ in table(page.name, HEADING):
        (called,) = codes(command)
        if names and called.split(".py")[0] not in names:
            continue
        print(f"+ {called}", flush=True)
        found = counted(called)
        failed += found is None
        if found is not None:
            where = f"{processor()}, {datetime.date.today():%B %Y}"
            text = page.read_text()
            (row,) = [line for line in text.splitlines() if line.startswith(f"| {what} |")]
            page.write_text(text.replace(row, f"| {what} | {command} | {found} | {where} |"))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
