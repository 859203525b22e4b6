"""Files of optimizers, damaged in every way that occurs to a machine, and what becomes of those who load them.

``python tests/tools/wild_files.py --files 20000 --seed 1`` loads so many, goes on with what could be loaded, and tells
of every exception outside of the contract, and of every refused file that has changed something.
"""

import argparse
import copy
import io
import json
import random
import sys
import traceback
import warnings
import zipfile
from pathlib import Path

import numpy as np
from checkpoints import contents_of
from wild import told

import fastadagrad as fa

X = np.arange(14.0).reshape(7, 2)
CONTRACT = (ValueError, TypeError, IndexError, FloatingPointError, RuntimeError, OSError)


def loss(p, x):
    return float(abs(p["w"] - x[0]).max()), {"w": p["w"] - x[0], "f": np.zeros(1)}


def optimizer(value=1.0):
    params = {"w": np.full(2, value), "f": np.ones(1)}
    return fa.ADAGRAD(loss, params, learning_rate=0.1, groups={"w": {"momentum": 0.5}})


def data():
    return fa.Dataset(X, name="data", batch_size=2, rng=0)


def saved():
    """The members of a file of an optimizer in the midst of a run, by name."""
    opt = optimizer()
    for _, update in opt.get_updates():
        update(np.ones(2 if update._name == "w" else 1))
    for _ in opt.iterate(data(), X, learning_rate=0.3, validate_every=1, groups=dict(opt.hyper.groups), max_epochs=3):
        found = contents_of(opt)
    return found


def packed(members, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def value(rng):
    kinds = [None, True, 0, 3, -1, 2**63, 10**30, 0.5, float("nan"), float("inf"), "", "text", "param0", [], {}, [1]]
    return rng.choice([*kinds, {"surprise": 1}, [[1, 2]], {"state": {"pos": 700}}, {"w": "x"}, [None] * 4, "PCG64"])


def places(part, at=()):
    for key, member in part.items() if isinstance(part, dict) else enumerate(part):
        yield (*at, key)
        if isinstance(member, dict | list):
            yield from places(member, (*at, key))


def with_other_fields(members, rng):
    """The header has other values in some places, or lacks some."""
    about = json.loads(members["header.json"])
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        place = rng.choice([*places(about)] or [()])
        part = about
        for key in place[:-1]:
            part = part[key]
        if rng.random() < 0.2:
            part.pop(place[-1])
        elif rng.random() < 0.2 and isinstance(part, dict):
            part[rng.choice(["surprise", "w", "steps"])] = value(rng)
        else:
            part[place[-1]] = value(rng)
    return packed({**members, "header.json": json.dumps(about)})


def with_other_bytes(members, rng):
    """Some bytes of a member are others, and its checksum is that of the others."""
    name = rng.choice([*members])
    content = bytearray(members[name])
    for _ in range(rng.choice([1, 1, 2, 8])):
        at = rng.randrange(min(len(content), rng.choice([100, 10_000])))
        content[at] = rng.choice([content[at] ^ (1 << rng.randrange(8)), rng.randrange(256), *b"{}[],:'\"0 -e\n("])
    return packed({**members, name: bytes(content)})


def with_other_members(members, rng):
    members = dict(members)
    for _ in range(rng.choice([1, 2])):
        name, other = rng.choice([*members]), rng.choice([*members])
        how = rng.randrange(5)
        if how == 0:
            members.pop(name, None)
        elif how == 1:
            members[name], members[other] = members.get(other, b""), members.get(name, b"")
        elif how == 2:
            members[rng.choice(["x.npy", "param/x.npy", "../x.npy", "best/w.npy"])] = members[name]
        elif how == 3:
            members[name] = members[name][: rng.randrange(len(members[name]) + 1)]
        else:
            file = io.BytesIO()
            shape, dtype = (
                rng.choice([(2,), (), (0,), (3, 3)]),
                rng.choice(["f8", "f4", ">f8", "U3", "c16", "V8", "i8"]),
            )
            np.lib.format.write_array(file, np.zeros(shape, dtype))
            members[name] = file.getvalue()
    return packed(members)


def with_flipped_bits(members, rng):
    content = bytearray(packed(members))
    for _ in range(rng.choice([1, 1, 2, 8])):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(content)


def cut(members, rng):
    content = packed(members)
    low, high = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    return rng.choice([content[:high], content[low:], content[:low] + content[high:], content + content[low:high]])


def compressed(members, rng):
    return packed(members, rng.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]))


KINDS = [with_other_fields, with_other_fields, with_other_bytes, with_other_members, with_flipped_bits, cut, compressed]


def tried(number, seed, members):
    """What is wrong with the loading of one file, in words; None if nothing is. And whether it was loaded."""
    rng = random.Random(f"{seed}/{number}")
    damage = rng.choice(KINDS)
    content = damage(copy.deepcopy(members), rng)
    opt = optimizer(2.0)
    opt.step({"w": np.ones(2), "f": np.ones(1)})
    before = contents_of(opt), repr(opt.hyper)
    how = rng.choice([{}, {"strict": False}, {"hyper": True}, {"resume": False}])
    doing = "load"
    try:
        opt.load(io.BytesIO(content), **how)
        doing = "iterate"
        opt.minimize(data(), X, max_epochs=4)
        doing = "save"
        contents_of(opt)
        return None, True
    except CONTRACT as error:
        if doing == "iterate" and "goes on with other data" in str(error):  # other numbers, of the same kind
            return None, True
        if doing == "load" and (contents_of(opt), repr(opt.hyper)) != before:
            return f"{damage.__name__}: {doing}: refused, and something has been changed: {error}", False
        if doing == "load" and not isinstance(error, ValueError):
            return f"{damage.__name__}: {doing}: {type(error).__name__}: {error}", False
        return (None, False) if doing == "load" else (f"{damage.__name__}: {doing}: {error!r:.150}", False)
    except Exception as error:
        [*_, last] = traceback.extract_tb(error.__traceback__)
        where = f"{Path(last.filename).name}:{last.lineno}"
        return f"{damage.__name__}: {doing}: {type(error).__name__}: {error} in {where}", False


def many(files, seed):
    """What is wrong with so many files, by number, and how many of them were loaded."""
    warnings.simplefilter("ignore")
    members, wrong, loaded = saved(), {}, 0
    for number in range(files):
        found, whole = tried(number, seed, members)
        loaded += whole
        if found:
            wrong[number] = found
    return wrong, loaded


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    wrong, loaded = many(arguments.files, arguments.seed)
    return told("file", arguments.files, wrong, f"; {loaded} could be loaded")


if __name__ == "__main__":
    sys.exit(main())
