"""The code that compilers make of the kernels, with names taken out: it stays as it is where code only moves.

    python tests/tools/generated_code.py before.txt [--text FOLDER]    # on the code as it was
    python tests/tools/generated_code.py --compare before.txt          # on the code as it is

On the CPU it is LLVM's intermediate language, optimised, of each kernel that a case of `digests` uses; a kernel is
called by the first case of its group that needs it. For CUDA it is PTX for one compute capability. A kernel that is
called otherwise than before, but whose text is that of one which was there, is no difference.

With `--text`, a folder has the texts. Digests hold for one machine and one set of packages.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import digests
import normalised
import numpy as np
from digest_cases import methods
from numba.core import dispatcher

# The private modules that are named here; whoever moves one changes this table alone.
PACKAGE = "fastadagrad"
RULES = "fastadagrad.kernels.rules"
CUDA = {
    "coalesce": "fastadagrad.kernels.cuda.coalesce",
    "copying": "fastadagrad.kernels.cuda.copying",
    "dense": "fastadagrad.kernels.cuda.dense",
    "finite": "fastadagrad.kernels.cuda.finite",
    "missed": "fastadagrad.kernels.cuda.missed",
    "statistics": "fastadagrad.kernels.cuda.statistics",
    "reduce": "fastadagrad.kernels.cuda.reduce",
    "row_norms": "fastadagrad.kernels.cuda.row_norms",
    "rows": "fastadagrad.kernels.cuda.rows",
    "shared": "fastadagrad.kernels.cuda.shared",
}
CAPABILITY = 9, 0

INNER = "(inner)"

Texts = dict[str, str]


def cpu_texts(group: str, only: str) -> Texts:
    """Of the kernels that the cases of a group use, in a process that has used none.

    What is compiled within another kernel is marked as inner: of a kernel that is read from the disk it is not found.
    """
    found: Texts = {}
    made: list[tuple[str, Any]] = []
    within: list[Any] = []
    take, compile_one = dispatcher.Dispatcher.add_overload, dispatcher.Dispatcher.compile

    def compiling(self: Any, signature: Any) -> Any:
        within.append(self)
        try:
            return compile_one(self, signature)
        finally:
            within.pop()

    def taking(self: Any, result: Any) -> None:
        take(self, result)
        if type(self._cache).__module__.startswith(PACKAGE):  # a kernel, and not a piece of one
            inner = f" {INNER}" if len(within) > 1 else ""
            made.append((self.py_func.__name__ + inner, result.library))

    dispatcher.Dispatcher.add_overload, dispatcher.Dispatcher.compile = taking, compiling
    try:
        for case in digests.cases_in(group):
            if only in case.name:
                digests.outcome_of(case)
                for function, library in made:
                    # As other modules link it: what is read from the disk has no other text.
                    text = normalised.llvm(str(library._get_module_for_linking()))
                    found[_free(found, f"llvm | {case.name} | {function}")] = text
                made.clear()
    finally:
        dispatcher.Dispatcher.add_overload, dispatcher.Dispatcher.compile = take, compile_one
    return found


def _free(found: Texts, name: str) -> str:
    """The name, or the next one that nothing has."""
    number = 2
    while name in found:
        name = f"{name.partition(' #')[0]} #{number}"
        number += 1
    return name


def forms_of(method: str) -> Iterator[tuple[str, Any]]:
    """The forms that a method has under its own switches, each once."""
    rules, rule = import_module(RULES), import_module(f"{RULES}.{method}")
    own = rule.Hyperparameters()
    switches = [field.name for field in fields(own) if isinstance(field.default, bool)]
    known: list[Any] = []
    for name in ("", *switches):
        form = rules.form_of(rule, replace(own, **{name: not getattr(own, name)}) if name else own)
        if not any(form is other for other in known):
            known.append(form)
            yield f"{method}{', other ' + name if name else ''}", form


def cuda_kernels_of(form: Any) -> Iterator[Any]:
    """Of one form of a method."""
    rules, cuda = import_module(RULES), {name: import_module(path) for name, path in CUDA.items()}
    single, double = np.dtype(np.float32), np.dtype(np.float64)
    variant, make_dense = cuda["dense"].Variant, cuda["dense"].make_dense
    motions = ["plain"] if rules.places(form) else ["plain", "momentum", "nesterov"]
    for motion in motions:
        yield from make_dense(form, variant(motion, False, True, single, CAPABILITY))
    yield from make_dense(form, variant("plain", True, False, double, CAPABILITY))
    for decides in (False, True):
        yield cuda["dense"].make_many(form, variant("plain", True, True, single, CAPABILITY, decides))
    for vectors in (False, True):
        yield cuda["rows"].make_row_update(form, "plain", "element", True, single, CAPABILITY, vectors)
    if rules.trait(form, "measured"):
        yield cuda["statistics"].make_measure(form, single, CAPABILITY)
    if rules.trait(form, "shares"):
        for motion in motions:
            yield cuda["shared"].make_rows(form, motion, single, CAPABILITY)
            yield from cuda["shared"].make_tensor(form, motion, single, CAPABILITY)
            for kind in ("element", "row", "tensor"):
                yield cuda["rows"].make_row_update(form, motion, kind, False, single, CAPABILITY)
        for motion, kind, how in (
            ("plain", "element", "steps"),
            ("momentum", "row", "sums"),
            ("plain", "tensor", "history"),
        ):
            yield cuda["missed"].make_row_catch_up(form, motion, kind, how, single, CAPABILITY)
        for prepared in (False, True):
            yield cuda["row_norms"].make_row_squares(form, prepared, single, CAPABILITY)
            yield from cuda["reduce"].make_sums(form, prepared, single, CAPABILITY)


def cuda_kernels_of_all() -> Iterator[Any]:
    """Those that go by no method."""
    cuda = {name: import_module(path) for name, path in CUDA.items()}
    single, double = np.dtype(np.float32), np.dtype(np.float64)
    for vectors in (False, True):
        yield cuda["rows"].make_rows_check(vectors, single, CAPABILITY)
    yield cuda["rows"].make_dense_form(single, CAPABILITY)
    yield from cuda["row_norms"].make_order(CAPABILITY)
    yield cuda["rows"].make_gather(single, CAPABILITY)
    yield from cuda["reduce"].make_sums_of_many(single, CAPABILITY)
    for decides in (False, True):
        yield from cuda["finite"].make_finite_check(single, CAPABILITY, decides)
        yield cuda["finite"].make_finite_check_of_many(double, CAPABILITY, decides)
    yield cuda["copying"].make_copy(np.dtype(np.int32), np.dtype(np.int64), CAPABILITY)
    pack_rows, pack_keys, *others = cuda["coalesce"].make_sort(CAPABILITY)
    yield from (*pack_rows.values(), *pack_keys.values(), *others)


def cuda_texts(group: str, only: str) -> Texts:
    found: Texts = {}
    kernels = [("all methods", cuda_kernels_of_all())] if group == "linear" else []
    kernels += [(name, cuda_kernels_of(form)) for name, form in forms_of(group)] if group in methods() else []
    for name, made in kernels:
        if only in f"ptx | {name}":
            for kernel in made:
                which = re.sub("_?[0-9a-f]{8}(?=_|$)", "", kernel.name)  # which has a digest of the formula
                found[_free(found, f"ptx | {name} | {which}")] = normalised.ptx(kernel.ptx)
    return found


def texts_in(group: str, only: str, what: str) -> Texts:
    found = cpu_texts(group, only) if what in ("cpu", "both") else {}
    return found | (cuda_texts(group, only) if what in ("cuda", "both") else {})


def differences(before: Mapping[str, str], now: Mapping[str, str], only: str = "") -> list[str]:
    """A line for each text that there was and is not, or the other way round; whatever they are called.

    Where `now` is of cases and kernels whose name contains `only`, there need not be more than these.
    """
    told = []
    for these, others, what in ((before, now, "no longer this code"), (now, before, "code that was not there")):
        known = {*others.values()}
        counting = {
            name: x for name, x in sorted(these.items()) if INNER not in name and (these is now or only in name)
        }
        told += [f"{name}: {what}" for name, x in counting.items() if x not in known]
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description="The code that compilers make of the kernels, without names.")
    parser.add_argument("file", nargs="?", type=Path, help="written, with a line for each kernel: name, tab, digest")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="print what differs from it, and exit with 1")
    parser.add_argument("--text", type=Path, metavar="FOLDER", help="write the texts there")
    parser.add_argument("--what", choices=["cpu", "cuda", "both"], default="both")
    parser.add_argument("--only", default="", metavar="TEXT", help="of cases and kernels whose name contains it")
    parser.add_argument("--jobs", type=int, default=digests.PROCESSORS, help="processes")
    arguments = parser.parse_args()
    if not (arguments.file or arguments.compare or arguments.text):
        parser.error("name a file to write, one to --compare with, or a folder for --text")
    start = time.monotonic()
    texts = digests.in_processes(partial(texts_in, only=arguments.only, what=arguments.what), arguments.jobs)
    found = {name: normalised.digest_of(text) for name, text in texts.items()}
    print(f"{len(found)} kernels, {len(set(found.values()))} different ones, in {time.monotonic() - start:.0f} s")
    if arguments.text:
        arguments.text.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (arguments.text / f"{re.sub('[^-.,#a-zA-Z0-9_]+', ' ', name)}.txt").write_text(text)
    if arguments.file:
        arguments.file.write_text(digests.written(found))
    if not arguments.compare:
        return 0
    told = differences(digests.read(arguments.compare.read_text()), found, arguments.only)
    print(*told, f"{len(told)} differences", sep="\n")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
