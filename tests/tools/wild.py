"""Arguments of all kinds, honest and lying, and calls of everything public of the optimizers with them.

``python tests/tools/wild.py --calls 5000 --seed 1`` makes so many calls, in processes of some hundred each, and tells
of every crash, every exception outside of the contract and every refused call that has changed something.
"""

import argparse
import collections
import decimal
import faulthandler
import fractions
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from checkpoints import contents_of

import fastadagrad as fa
from fastadagrad.support.asking import shown

CONTRACT = (ValueError, TypeError, IndexError, FloatingPointError, RuntimeError, OSError, MemoryError, Warning)
ERRORS = (AttributeError, KeyError, ZeroDivisionError, OverflowError, LookupError, RuntimeError, ValueError, TypeError)


def raising(error, *names):
    """An object whose special methods of these names, and properties of others, raise an error."""

    def method(self, *args, **kwargs):
        raise error("a lie")

    properties = ("shape", "dtype", "ndim", "__class__", "__array_interface__")
    members = {name: property(method) if name in properties else method for name in names}
    return type(f"Raising_{'_'.join(names)}", (), members)()


class Changing:
    """A number that is another one each time."""

    def __init__(self, *values):
        self.values = list(values)

    def _next(self, *_):
        self.values.append(self.values.pop(0))
        return self.values[-1]

    __index__ = __float__ = __int__ = __len__ = _next


class Interface:
    """An array by NumPy's protocol, or what pretends to be one; of several, another one each time."""

    def __init__(self, *interfaces):
        self.interfaces = list(interfaces)

    @property
    def __array_interface__(self):
        self.interfaces.append(self.interfaces.pop(0))
        return self.interfaces[-1]


class CudaInterface(Interface):
    @property
    def __cuda_array_interface__(self):
        return Interface.__array_interface__.fget(self)

    __array_interface__ = property()


class Lying(np.ndarray):
    """An array that says of itself what is not so."""

    shape = property(lambda self: (3,))
    dtype = property(lambda self: np.dtype(np.float64))
    size = property(lambda self: 3)
    nbytes = property(lambda self: 1 << 40)
    ctypes = property(lambda self: type("C", (), {"data": 0xDEAD0000}))


class Attributes:
    def __init__(self, **attributes):
        vars(self).update(attributes)


class DLPack:
    def __init__(self, capsule, device):
        self.capsule, self.device = capsule, device

    def __dlpack__(self, **kwargs):
        return self.capsule

    def __dlpack_device__(self):
        return self.device


class Odd(collections.abc.Mapping):
    """A mapping whose parts contradict one another."""

    def __init__(self, names, values):
        self.names, self.values_ = names, values

    def __getitem__(self, name):
        return self.values_[name]

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)

    def __contains__(self, name):
        return True


class File:
    """A file object with a few surprises."""

    def __init__(self, given):
        self.given = given

    def write(self, content):
        return self.given

    def read(self, *size):
        return self.given


def interface(pointer=None, shape=(3,), typestr="<f8", **others):
    array = np.ones(3)
    pointer = array.ctypes.data if pointer is None else pointer
    return {"data": (pointer, False), "shape": shape, "typestr": typestr, "version": 3, "keep": array, **others}


def closed_map():
    """An array in a memory map that has been closed: to read one of its elements is a crash."""
    with tempfile.TemporaryFile() as file:
        mapped = np.memmap(file, shape=3, dtype="f8", mode="w+")
    mapped._mmap.close()
    return mapped


def values(rng):
    """One value, of any kind."""
    array = np.ones(3)
    kinds = [
        lambda: rng.choice([0, -1, 1, 2, 3, 10**400, -(10**400), 2**63, 2**64, 1e308, -1e308, 0.1, -0.0, 1e-320]),
        lambda: rng.choice([float("nan"), float("inf"), True, False, None, Ellipsis, NotImplemented, 1j, 0.5]),
        lambda: rng.choice(["", "best", "element", "x" * 1000, b"x", "\ud800", "a\0b", "/", "..", "learning_rate"]),
        lambda: rng.choice([np.float32(0.1), np.float16(7), np.int8(-1), np.uint64(2**64 - 1), np.bool_(True)]),
        lambda: rng.choice([np.datetime64("now"), np.str_("x"), np.void(b"xx"), np.longdouble(0.1), np.complex64(1)]),
        lambda: rng.choice([decimal.Decimal("NaN"), decimal.Decimal("0.1"), fractions.Fraction(1, 3)]),
        lambda: rng.choice([[], {}, (), set(), [1, [2, 3]], [[1.0, 2.0]], {"a": 1}, [None], range(3), iter([1, 2])]),
        lambda: rng.choice(
            [object(), object, int, len, sys, fa, lambda *a, **k: None, lambda *a: 1.0, (i for i in "ab")]
        ),
        lambda: rng.choice([np.ones(3, t) for t in ("f4", "f2", "i8", ">f8", "O", "U3", "M8[s]", "c16", "?", "i4")]),
        lambda: rng.choice([np.ones(s) for s in [(), (0,), (3,), (2, 3), (3, 0), (1, 3), (3, 2, 2), (6,)]]),
        lambda: rng.choice([np.ones(6)[::2], np.ones((3, 3)).T, np.broadcast_to(1.0, (10**9, 10**9)), array[::-1]]),
        lambda: rng.choice([np.ma.masked_array(array), np.ones(3).view(np.recarray), np.asmatrix(array)]),
        lambda: np.frombuffer(b"12345678" * 3),
        lambda: np.ones(4).view(Lying) if rng.random() < 0.5 else np.zeros(0).view(Lying),
        lambda: raising(rng.choice(ERRORS), rng.choice(["__index__", "__float__", "__len__", "__iter__", "__bool__"])),
        lambda: raising(rng.choice(ERRORS), rng.choice(["__eq__", "__repr__", "__array__", "__dlpack__", "__hash__"])),
        lambda: raising(rng.choice(ERRORS), rng.choice(["shape", "dtype", "ndim", "__array_interface__", "__class__"])),
        lambda: raising(rng.choice(ERRORS), "__float__", "__index__", "__repr__", "__str__", "shape", "__len__"),
        lambda: raising(rng.choice(ERRORS), "__getattr__", "__array__", "__fspath__", "__getitem__", "__len__"),
        lambda: Changing(*rng.choice([(1, 10**9), (0, -1), (3, 0.5), ("a", 1), (1, 2, 3)])),
        lambda: Interface(interface(rng.choice([0xDEAD0000, 0, 8, -8, 2**63, 2**70, "x", None]))),
        lambda: Interface(interface(shape=rng.choice([(10**12,), (-3,), (), (3.0,), "3", None, (2**62, 4)]))),
        lambda: Interface(interface(typestr=rng.choice(["<f9", "<f4", "O", "|V8", 3, "<i8", ""]))),
        lambda: Interface(interface(), interface(shape=(4,)), 3),
        lambda: Interface(rng.choice([None, 3, {}, [], "x", {"shape": (3,)}, {"typestr": "<f8", "shape": (3,)}])),
        lambda: Interface(interface(strides=rng.choice([(0,), (10**9,), (-8,), (3,), 8]))),
        lambda: CudaInterface(rng.choice([None, 3, {}, interface(), interface(2**70), interface(shape=None)])),
        lambda: Attributes(shape=rng.choice([(3,), 3, None, (2, 3)]), dtype=rng.choice([np.dtype("f8"), "f8", None])),
        lambda: Attributes(columns=3, keys=3, shape=(3,), iloc=3),
        lambda: DLPack(rng.choice([None, 3, array.__dlpack__()]), rng.choice([None, (), (1, 0), (2, 0), "x", (1.5,)])),
        lambda: Odd(rng.choice([["a"], ["param0"], [], [3]]), rng.choice([{}, {"a": array}, {"param0": 1.0}])),
        lambda: rng.choice([io.BytesIO(b"x"), io.StringIO("x"), File(None), File(0), File(-1), File("x"), File(10**9)]),
        lambda: np.memmap("mapped", shape=3, dtype="f8", mode="w+"),
        lambda: fa.Rows(*(rng.choice([array, np.arange(3), None, 3, Changing(1, 2)]) for _ in range(2))),
        lambda: [values(rng) for _ in range(rng.randrange(3))],
        lambda: {rng.choice(["a", "param0", 3, None, "loss"]): values(rng) for _ in range(rng.randrange(3))},
        lambda: (values(rng), values(rng)),
    ]
    return rng.choice(kinds)()


HYPER = ["learning_rate", "rms_regularizer", "momentum", "nesterov", "accumulator", "lazy", "groups", "threads", "l1"]
HYPER += ["max_global_norm", "nonfinite", "patience", "validate_every", "min_improvement", "frozen", "lr_decay", "odd"]


def loss(w, *batch):
    return float(np.sum(w * w)), 2 * w


def made(**arguments):
    return fa.ADAGRAD(**{"loss": loss, "params": np.array([1.0, 2.0, 3.0]), **arguments})


def table():
    opt = fa.ADAGRAD(params={"a": np.ones((5, 2)), "b": np.ones(3, np.float32)}, momentum=0.5, learning_rate=0.1)
    opt.step({"a": fa.Rows(np.array([1]), np.ones((1, 2))), "b": np.ones(3, np.float32)})
    return opt


def unpacked(made):
    return [(name, update) for name, update in made]


# Names of calls, each a function of an optimizer and of a function that gives the next value.
CALLS = {
    "constructor": lambda opt, v: fa.ADAGRAD(params=v()),
    "constructor, list": lambda opt, v: fa.ADAGRAD(params=[np.ones(3), v()]),
    "constructor, dict": lambda opt, v: fa.ADAGRAD(params={"a": np.ones(3), "b": v()}),
    "constructor, nested": lambda opt, v: fa.ADAGRAD(params={"a": [v(), np.ones(2)]}),
    "constructor, loss": lambda opt, v: fa.ADAGRAD(v(), np.ones(3), v(), v(), v(), v(), gradient=v()),
    "constructor, one": lambda opt, v: made(**{v.pick(["inputs", "updates", "monitors", "gradient", "loss"]): v()}),
    "constructor, hyper": lambda opt, v: made(**{v.pick(HYPER): v()}),
    "constructor, two": lambda opt, v: made(**{v.pick(HYPER): v(), v.pick(HYPER): v()}),
    "constructor, groups": lambda opt, v: made(groups={"param0": {v.pick(HYPER): v()}}),
    "other methods": lambda opt, v: fa.build(
        v.pick(["adam", "cocob", "esgd", "dog"]),
        None,
        np.ones(3),
        **{v.pick(["learning_rate", "hv", "hv_rng", "beta1", "beta2"]): v()},
    ),
    "a run of a wild rate": lambda opt, v: made(learning_rate=lambda t: v()).step(np.ones(3)),
    "a loss of anything": lambda opt, v: made(loss=lambda w: v()).minimize(max_updates=2),
    "a loss of a pair": lambda opt, v: made(loss=lambda w: (v(), v())).minimize(max_updates=2),
    "a gradient of anything": lambda opt, v: made(loss=lambda w: (1.0, v())).minimize(max_updates=2),
    "a monitor of anything": lambda opt, v: made(monitors={"m": lambda w: v()}).minimize(max_updates=2),
    "an update of anything": lambda opt, v: made(updates=[(np.zeros(3), lambda w: v())]).minimize(max_updates=2),
    "step": lambda opt, v: opt.step(v()),
    "step, dict": lambda opt, v: opt.step({"a": v(), "b": np.ones(3, np.float32)}),
    "step, list": lambda opt, v: opt.step([np.ones((5, 2)), v()]),
    "step, rows": lambda opt, v: opt.step({"a": fa.Rows(v(), v()), "b": np.ones(3, np.float32)}),
    "step, indices": lambda opt, v: opt.step([fa.Rows(v(), np.ones((2, 2))), np.ones(3, np.float32)]),
    "step, values": lambda opt, v: opt.step([fa.Rows(np.array([0, 3]), v()), np.ones(3, np.float32)]),
    "step, unique": lambda opt, v: opt.step([fa.Rows(np.array([0]), np.ones((1, 2)), v()), np.ones(3, np.float32)]),
    "updates": lambda opt, v: unpacked(opt.get_updates())[0][1](v(), v()),
    "get_updates": lambda opt, v: unpacked(opt.get_updates(**{v.pick(HYPER): v()})),
    "hyper": lambda opt, v: setattr(opt.hyper, v.pick(HYPER), v()),
    "hyper.update": lambda opt, v: opt.hyper.update(**{v.pick(HYPER): v(), v.pick(HYPER): v()}),
    "read_rows": lambda opt, v: opt.read_rows(v.pick(["a", "b", v()]), v()),
    "set_params": lambda opt, v: opt.set_params(v()),
    "set_params, dict": lambda opt, v: opt.set_params({"a": v(), "b": v()}),
    "set_params, list": lambda opt, v: opt.set_params([np.ones((5, 2)), v()]),
    "evaluate": lambda opt, v: made().evaluate(v.data()),
    "iterate": lambda opt, v: list(made().iterate(v.data(), max_updates=2, **{v.pick([*HYPER, "batch_size"]): v()})),
    "minimize": lambda opt, v: made().minimize(**{"max_updates": 2, "max_epochs": 3, v.pick(LIMITS): v()}),
    "rng": lambda opt, v: made().minimize([np.ones(6)], max_updates=2, rng=v()),
    "hv_rng": lambda opt, v: fa.ESGD(params=np.ones(3), hv_rng=v()).draw_vectors(),
    "save": lambda opt, v: opt.save(v()),
    "load": lambda opt, v: opt.load(v(), v(), resume=v(), hyper=v()),
    "load, bytes": lambda opt, v: opt.load(io.BytesIO(bytes(shown(v()), "utf8", "replace"))),
    "twin": lambda opt, v: opt.twin(v()),
    "twin, dict": lambda opt, v: opt.twin({"a": v(), "b": np.ones(3, np.float32)}),
    "build": lambda opt, v: fa.build(v(), params=np.ones(3)),
    "like": lambda opt, v: fa.like(v()),
    "minimize, function": lambda opt, v: fa.minimize(loss, params=np.ones(3), algo=v(), max_updates=v()),
    "find_learning_rate": lambda opt, v: fa.find_learning_rate(made(), **{v.pick(["low", "high", "steps"]): v()}),
    "compiled_update": lambda opt, v: fa.compiled_update(v.pick(["sgd", v()]), np.float64, **{v.pick(HYPER): v()}),
}
LIMITS = ["max_updates", "max_epochs", "batch_size", "train_batches", "valid_batches", "touches", "progress"]


class Source:
    """Gives wild values, and choices."""

    def __init__(self, rng):
        self.rng, self.given = rng, []

    def __call__(self):
        self.given.append(values(self.rng))
        return self.given[-1]

    def pick(self, choices):
        return self.rng.choice(choices)

    def data(self):
        """Data; not so much that a pass over them takes hours, and none that raise errors of their own in a pass."""
        found = self.rng.choice([None, [np.ones(4)], self()])
        if "__iter__" in type(found).__name__:
            return None
        return None if getattr(type(found), "__array_priority__", None) and np.size(found) > 1e6 else found


def contents(opt):
    return contents_of(opt), repr(opt.hyper)


def call(number, seed):
    """Make call `number` of those of a seed; what is wrong with it, in words, or None."""
    rng = random.Random(f"{seed}/{number}")
    name, source, opt = rng.choice([*CALLS]), Source(rng), table()
    before = contents(opt)
    try:
        CALLS[name](opt, source)
    except CONTRACT:
        if contents(opt) != before and name != "updates":
            return f"{name}: refused, and something has been changed"
    except Exception as error:
        return f"{name}: {described(error)}"
    return None


def described(error):
    """An error, and where it was raised; where an object was asked that raises it, if that is one of this module."""
    places = [(place.tb_frame.f_code.co_filename, place.tb_lineno) for place in _places(error)]
    file, line = next((place for place in reversed(places) if place[0] != __file__), places[-1])
    text = str(error) if type(error).__str__ is not object.__str__ else shown(error)
    return f"{type(error).__name__}: {text[:80]} in {Path(file).name}:{line}"


def _places(error):
    place = error.__traceback__
    while place is not None:
        yield place
        place = place.tb_next


def make_calls(first, last, seed, call=call):
    """Make some calls in this process, which ends with their errors on standard output."""
    faulthandler.enable()
    warnings.simplefilter("ignore")
    os.chdir(tempfile.mkdtemp(prefix="wild-"))
    for number in range(first, last):
        print(number, flush=True, file=sys.stderr)
        signal.setitimer(signal.ITIMER_PROF, 60)  # an endless loop ends the process, too, and one that waits does
        signal.alarm(300)
        found = call(number, seed)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        if found:
            print(f"{number}\t{found}", flush=True)


def tried(calls, seed, at_once=500, program=__file__):
    """What is wrong with so many calls of a program, by number: in words."""
    wrong, first = {}, 0
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    environment = {**os.environ, "PYTHONPATH": paths}
    while first < calls:
        last = min(calls, first + at_once)
        command = [sys.executable, program, "--part", str(first), str(last), "--seed", str(seed)]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=3600, check=False, env=environment
        )
        wrong |= {int(line.split("\t")[0]): line.split("\t")[1] for line in done.stdout.splitlines() if "\t" in line}
        if done.returncode:
            last = int([line for line in done.stderr.splitlines() if line.isdigit()][-1])
            how = [line for line in done.stderr.splitlines() if not line.isdigit()]
            wrong[last] = f"exit {done.returncode}: {' | '.join(how[:12])[:600]}"
            last += 1
        first = last
    return wrong


def main(description=__doc__, program=__file__, call=call):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", type=int, nargs=2)
    arguments = parser.parse_args()
    if arguments.part:
        make_calls(*arguments.part, arguments.seed, call)
        return 0
    return told("call", arguments.calls, tried(arguments.calls, arguments.seed, 2000, program))


def told(what, count, wrong, more=""):
    """Print what is wrong with calls or files, and how many of them were as they should; the status of the process."""
    for number, found in sorted(wrong.items()):
        print(f"{what} {number}: {found}")
    print(f"{count - len(wrong)} of {count} {what}s kept to the contract{more}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
