"""Digests of what the library computes: parameters, state and weights, of every method, option, driver and gradient.

A rearrangement of the library that is to change no bit leaves all of them as they are:

    python tests/tools/digests.py before.txt               # on the code as it was
    python tests/tools/digests.py --compare before.txt     # on the code as it is; each difference is printed

They hold for one machine and one set of packages: exponentials and logarithms, and NumPy's sums, are other ones
elsewhere. What goes by neither is in `quick_cases`, whose digests are in tests/recorded/digests.txt and hold
everywhere; `python tests/tools/digests.py --quick tests/recorded/digests.txt` writes them anew. Only public names are
used.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import digest_cases
import digest_linear
import numpy as np
from digest_cases import Arrays, Case
from places import RECORDED

PROCESSORS = os.cpu_count() or 1
FILE = RECORDED / "digests.txt"  # of the quick cases
REFUSALS = (TypeError, ValueError, IndexError, FloatingPointError, RuntimeError)


def digest_of(arrays: Arrays) -> str:
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def outcome_of(case: Case) -> str:
    """A digest; of what the library refuses, the kind of the exception."""
    try:
        return digest_of(case.run())
    except REFUSALS as error:
        return f"refused: {type(error).__name__}"


def groups() -> list[str]:
    """Cases are computed by groups: those of one share few kernels with those of another."""
    return ["linear", *digest_cases.methods()]  # the longest first


def cases_in(group: str) -> Iterator[Case]:
    return digest_linear.cases() if group == "linear" else digest_cases.cases_of(group)


QUICK = (
    ("tensors", ("as it comes", "momentum", "weight_decay", "l1 and l2", "clipped global norm")),
    ("rows, touched", ("rate", "momentum")),
    ("csr, exact", ("rate",)),
)
ROWS = ("tensors | row", "tensors | tensor, nesterov", "rows, touched | row, momentum", "rows, exact | rate")


def quick_cases() -> list[Case]:
    """Some dozens of cases of sums, products, quotients and roots alone, which are the same on every processor.

    Left out are methods with half-lives, which go by powers and logarithms; lazy="exact" where there are missed steps,
    which are made up for by powers; logistic and softmax losses; and scaled features, whose means are sums that NumPy
    makes in its own order.
    """
    exact = [name for name in digest_cases.methods() if "halflife" not in "".join(digest_cases.own_options(name))]
    wanted = {f"{m} | float32 | {kind} | {o}" for m in exact for kind, options in QUICK for o in options}
    wanted |= {f"adagrad | float32 | {which}" for which in ROWS} | {"adagrad | float64 | tensors | rate"}
    wanted |= {f"linear {x} | float32 | {y} | weights alone" for x in ("hinge", "squared") for y in ("dense", "csr")}
    found = [case for group in (*exact, "linear") for case in cases_in(group) if case.name in wanted]
    missing = wanted - {case.name for case in found}
    assert not missing, f"no such cases: {sorted(missing)}"
    return found


def digests_of(cases: Iterable[Case]) -> dict[str, str]:
    return {case.name: outcome_of(case) for case in cases}


def _digests_in(group: str, only: str) -> dict[str, str]:
    return digests_of(case for case in cases_in(group) if only in case.name)


def in_processes(texts_of: Callable[[str], dict[str, str]], jobs: int) -> dict[str, str]:
    """What a function makes of each group, in a process of its own, so that none depends on others before it."""
    with ProcessPoolExecutor(jobs, get_context("spawn"), max_tasks_per_child=1) as pool:
        return {name: text for part in pool.map(texts_of, groups()) for name, text in part.items()}


def written(digests: Mapping[str, str]) -> str:
    return "".join(f"{name}\t{digest}\n" for name, digest in sorted(digests.items()))


def read(text: str) -> dict[str, str]:
    return dict(line.split("\t") for line in text.splitlines())


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """A line for each case that is not as it was."""
    found = []
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            found.append(f"{name}: {before.get(name, 'not there')} before, {now.get(name, 'not there')} now")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Digests of what the library computes.")
    parser.add_argument("file", nargs="?", type=Path, help="written, with a line for each case: name, tab, digest")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="print what differs from it, and exit with 1")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name contains it")
    parser.add_argument("--quick", action="store_true", help="the cases of tests/recorded/digests.txt")
    parser.add_argument("--jobs", type=int, default=PROCESSORS, help="processes")
    arguments = parser.parse_args()
    if not (arguments.file or arguments.compare):
        parser.error("name a file to write, or one to --compare with")
    start = time.monotonic()
    if arguments.quick:
        found = digests_of(case for case in quick_cases() if arguments.only in case.name)
    else:
        found = in_processes(partial(_digests_in, only=arguments.only), arguments.jobs)
    refused = sum(outcome.startswith("refused") for outcome in found.values())
    print(f"{len(found)} cases, {refused} of them refused, in {time.monotonic() - start:.0f} s")
    if arguments.file:
        arguments.file.write_text(written(found))
    if not arguments.compare:
        return 0
    before = {name: x for name, x in read(arguments.compare.read_text()).items() if arguments.only in name}
    told = differences(before, found)
    print(*told, f"{len(told)} cases differ", sep="\n")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
