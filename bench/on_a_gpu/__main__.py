"""What to run on a machine with an NVIDIA GPU, from the root of a checkout: `python bench/on_a_gpu --out FOLDER`.

It runs the tests that need a GPU, times steps beside a copy, torch and CuPy, and lets compute-sanitizer watch a short
run. Each part is a process with a limit, so that one that hangs or loses the GPU's context takes no other with it.
Nothing is downloaded, fastadagrad need not be installed, and 12 GiB of the GPU's memory are enough. FOLDER/report.md
has the tables, with the names of the card and of its driver; the other files are what the parts have printed.

    python bench/on_a_gpu --out FOLDER [--seconds 480] [--only PART ...]
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PACKAGES = ("fastadagrad", "numpy", "numba", "llvmlite", "cuda-bindings", "torch", "cupy-cuda12x", "cupy-cuda13x")
RACES = ("dense", "many", "rows")
NO_TIME = "no time left"


class Part(NamedTuple):
    """A command, and the seconds after which it is ended."""

    name: str
    command: Sequence[str]
    limit: float


def parts() -> list[Part]:
    """All of them, in the order in which they run, the ones that tell most first."""
    me = [sys.executable, str(HERE)]
    tests = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider"]
    watched = ["compute-sanitizer", "--error-exitcode", "9", "--tool"]
    found = [Part("first test", [*tests, "tests/device/test_gpu.py"], 60)]
    found += [Part(race, [*me, "--race", race], 90) for race in RACES]
    found += [Part("tests", [*tests, "-n", "12", "--dist", "worksteal", "tests"], 240)]
    if shutil.which("compute-sanitizer"):
        found += [
            Part(tool, [*watched, tool, *me, "--race", "rows", "--quick"], 60)
            for tool in ("memcheck", "synccheck", "racecheck")
        ]
    return found


def environment() -> dict[str, str]:
    """Give the parts an environment in which the code of the checkout is found, before any that is installed."""
    found = [os.environ.get("PYTHONPATH", "")]
    if (ROOT / "fastadagrad" / "kernels").exists():  # which an unpacked sdist does not have there
        found.insert(0, str(ROOT))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, found))}


def run(part: Part, out: Path, left: float) -> str:
    """Run a part, whose output goes to a file of its name; returns in words how it ended."""
    begun = time.monotonic()
    with open(out / f"{part.name}.txt", "w") as file:
        process = subprocess.Popen(
            part.command, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT, env=environment(), start_new_session=True
        )
        try:
            ended = f"status {process.wait(min(part.limit, left))}"
        except subprocess.TimeoutExpired:
            ended = "ended at its limit"
        finally:
            end_whole(process)
    return f"{ended}, {time.monotonic() - begun:.0f} s"


def end_whole(part: subprocess.Popen[bytes]) -> None:
    """End a part and all processes that it has begun, which would keep the GPU from those after it."""
    with suppress(ProcessLookupError):
        os.killpg(part.pid, signal.SIGKILL)
    part.wait()


def card() -> str:
    """The name of the card and the version of its driver, as NVIDIA's own program says them."""
    asked = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        return f"no card ({error})"


def versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def report(out: Path, ended: dict[str, str]) -> str:
    """The tables of the races that have run, and how each part ended."""
    tables = [(out / f"{race}.txt").read_text() for race in RACES if ended.get(race, NO_TIME) != NO_TIME]
    lines = [f"- {name}: {how}" for name, how in ended.items()]
    return "\n\n".join([f"# {card()}", versions(), *tables, "\n".join(lines), ""])


def print_race(name: str, quick: bool) -> None:
    """Time one kind of work on the first GPU, and print a table for each size."""
    from races import RACES as KINDS
    from races import Card
    from tables import table

    from fastadagrad.device.backend import backend_at

    for race in KINDS[name](Card(backend_at(0), quick)):
        print(table(race), flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=Path, default=Path("on_a_gpu"), help="folder for the report (default: %(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=480, help="for all parts together (default: %(default)s)")
    parser.add_argument("--only", nargs="+", metavar="PART", help="parts by their names, as in the report")
    parser.add_argument("--race", choices=RACES, help="time this alone, and print its tables")
    parser.add_argument("--quick", action="store_true", help="with --race: small sizes, once each")
    given = parser.parse_args(arguments)
    if given.race:
        print_race(given.race, given.quick)
        return 0
    given.out.mkdir(parents=True, exist_ok=True)
    end, ended = time.monotonic() + given.seconds, dict[str, str]()
    for part in parts():
        if given.only and part.name not in given.only:
            continue
        left = end - time.monotonic()
        ended[part.name] = run(part, given.out, left) if left > 5 else NO_TIME
        print(f"{part.name}: {ended[part.name]}", flush=True)
        (given.out / "report.md").write_text(report(given.out, ended))
    return int(any(not how.startswith("status 0,") for how in ended.values()))


if __name__ == "__main__":
    sys.exit(main())
