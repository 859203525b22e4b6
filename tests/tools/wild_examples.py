"""Files of examples, models and comparisons, by grammar and by bytes, and what becomes of those who read them.

``python tests/tools/wild_examples.py --calls 20000 --seed 1`` reads so many: svmlight text, CSV, Parquet, Arrow, .npz,
models and journals. Each is refused by name, or read; text is read alike at once and as a stream, with the numbers that
Python reads in it.
"""

import functools
import io
import json
import os
import random
import sys
import zipfile
from pathlib import Path

import numpy as np
import wild_files
from simulated_disk import RUNS
from wild import CONTRACT, described, main

import fastadagrad as fa
from fastadagrad.compare import journal
from fastadagrad.data.tables import CSR
from fastadagrad.sources import load

NUMBERS = ["1", "0", "-1", "+1", "0.5", "-2.5e-3", "1e5", "3.", ".5", "7", "123456789", "1e-300", "0.1", "1e38"]
ODD_NUMBERS = [
    "nan",
    "inf",
    "-inf",
    "1e400",
    "1e-400",
    "0x1p3",
    "1_000",
    "--1",
    "1e",
    "",
    "1.2.3",
    "1,5",
    "one",
    "+",
    "-0",
]
ODD_NUMBERS += ["9" * 400, "0." + "1" * 400, "1e99999999999", "٣", "\0", '"1"', "1:2", "True", "None", "1j", "-0"]
BREAKS = ["\n", "\n", "\n", "\r\n", "\r", "\n\n", " \n", "\t\n", "", "\x0b", "\x0c", "\u2028"]
ODD_BYTES = [
    b"\xff",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"#",
    b" ",
    b"\n",
    b":",
    b'"',
    b",",
    b"1e",
    b"\x1a",
    b"PK\x03\x04",
]


def _some_bytes(content, rng):
    """The content with some other bytes."""
    content = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 6])):
        at, how = rng.randrange(len(content) + 1), rng.randrange(4)
        if how == 0:
            content[at:at] = rng.choice(ODD_BYTES)
        elif how == 1:
            del content[at : at + rng.choice([1, 1, 5, 100])]
        elif how == 2 and at < len(content):
            content[at] ^= 1 << rng.randrange(8)
        else:
            content[at:at] = content[rng.randrange(len(content) + 1) :][: rng.choice([1, 8, 64])]
    return bytes(content)


def _number(rng, odd):
    return rng.choice(ODD_NUMBERS if rng.random() < odd else NUMBERS)


def svmlight(rng):
    """A text, and the rows (label, {column: value}) that Python reads in it if all of it is as it should be."""
    odd, lines, rows = rng.choice([0, 0, 0, 0.02, 0.1]), [], []
    for _ in range(1 + rng.randrange(8)):
        label, row, parts = _number(rng, odd), {}, []
        columns = sorted(rng.sample(range(1, 40), rng.randrange(6)))
        if rng.random() < odd:
            columns = [*columns, rng.choice([0, -1, 2**31, 2**63, 10**30, *columns])]
        for column in columns:
            value = _number(rng, odd)
            row[column] = value
            parts.append(f"{column}{rng.choice(['', ' ', '::']) if rng.random() < odd else ':'}{value}")
        comment = rng.choice(["", "", "", " # a comment 1:2", " #"])
        lines.append(f"{label}{' ' if parts else ''}{rng.choice([' ', ' ', '  ', chr(9)]).join(parts)}{comment}")
        rows.append((label, row))
    breaks = BREAKS[:4] if not odd else BREAKS
    text = "".join(line + rng.choice(breaks) for line in lines)
    return text.encode("utf8", "replace"), rows if not odd else None


def csv(rng):
    """A table with a column `label`, or nearly so."""
    odd = rng.choice([0, 0, 0.03, 0.2])
    names = ["a", "b", "label"] if rng.random() > odd else rng.choice([["a", "a", "label"], ["label"], ["a,", ""], []])
    mark = rng.choice([",", ",", ";", "\t"]) if odd else ","
    lines = [mark.join(names)]
    for _ in range(rng.randrange(6)):
        cells = [_number(rng, odd) for _ in names]
        if rng.random() < odd:
            cells = rng.choice([cells[:-1], [*cells, "1"], ['"a\nb"', *cells[1:]], ['"open', *cells[1:]], []])
        lines.append(mark.join(cells))
    return "".join(line + rng.choice(BREAKS[:4] if not odd else BREAKS) for line in lines).encode("utf8", "replace")


def _table(**columns):
    import pyarrow

    return pyarrow.table({"a": [1.0, 2.0, 3.0], "b": [4, 5, 6], "label": [0, 1, 0], **columns})


@functools.cache
def _stored(kind, word):
    import pyarrow
    from pyarrow import parquet

    file = io.BytesIO()
    table = _table(c=["x", "y", "x"]) if word else _table()
    if kind == "parquet":
        parquet.write_table(table, file)
    else:
        with pyarrow.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    return file.getvalue()


def _npz(rng):
    """Arrays of examples of all shapes and dtypes, mostly as they should be."""
    X, y = np.arange(12.0).reshape(4, 3), np.array([0, 1, 0, 1])
    odd = [np.array(["x"] * 4), np.zeros(0), np.array(None), np.full(4, np.nan), X.astype("c16"), y.astype("f2"), X[:3]]
    odd += [np.zeros((0, 3)), np.zeros((4, 3, 1)), y.astype("M8[s]"), X.astype(">f8"), y.astype(bool), np.array(3)]
    arrays = {"X": X, "y": y}
    if rng.random() < 0.5:
        arrays = {"X_data": X[0], "X_indices": np.array([0, 2, 1]), "X_indptr": np.array([0, 1, 1, 2, 3]), "y": y}
        arrays |= {"X_shape": np.array([4, 3])}
    for _ in range(rng.randrange(3)):
        arrays[rng.choice([*arrays, "feature_names", "odd"])] = rng.choice(odd)
    file = io.BytesIO()
    np.savez(file, **{name: array for name, array in arrays.items() if array.dtype != object})
    return file.getvalue()


X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)


@functools.cache
def _members(softmax):
    """The members of a file of a linear model that goes on."""
    y = np.arange(12) % (3 if softmax else 2)
    model = fa.LinearModel(learning_rate=0.1, momentum=0.5).partial_fit(X, y, classes=[*range(3 if softmax else 2)])
    file = io.BytesIO()
    model.save(file)
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _read_model(path):
    """Load a model, and go on with it."""
    model = fa.LinearModel.load(path)
    yield "predict"
    model.predict(np.zeros((2, model.n_features), np.float32))
    if model.goes_on:
        yield "partial_fit"
        width = model.n_features
        wide = np.resize(X, (12, width)) if width < 1000 else None
        if wide is not None:
            labels = model.classes_[np.arange(12) % len(model.classes_)] if model.classes_ is not None else X[:, 0]
            model.partial_fit(wide, labels)
    yield "save"
    model.save(io.BytesIO())


@functools.cache
def _lines():
    path = Path("whole.jsonl")
    log = journal.Journal(path)
    for run in RUNS:
        log.append(run)
    log.close()
    return path.read_bytes()


def _journal(rng):
    """A journal whose fields or bytes are others."""
    content = _lines()
    if rng.random() < 0.5:
        return _some_bytes(content, rng)
    lines = content.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    entry = json.loads(lines[at])
    part = rng.choice([entry, entry["cell"]])
    if rng.random() < 0.3:
        part.pop(rng.choice([*part]))
    else:
        part[rng.choice([*part, "odd"])] = wild_files.value(rng)
    lines[at] = json.dumps(entry).encode() + b"\n"
    return b"".join(lines)


def _read_journal(path):
    """The runs of a journal, to which one is added."""
    found = journal.Journal(path).read()
    yield "append"
    log = journal.Journal(path)
    log.append(RUNS[0])
    log.close()
    yield "read again"
    again = journal.Journal(path).read()
    assert again == {**found, RUNS[0].cell: RUNS[0]}, "other runs are read after one was added"


def _dense(table):
    features = table.features
    if isinstance(features, CSR) and features.shape[1] > 1000:  # which would be of gigabytes
        return np.concatenate([features.data, features.indices, features.indptr, features.shape])
    if isinstance(features, CSR):
        dense = np.zeros(features.shape)
        for row, (start, stop) in enumerate(zip(features.indptr, features.indptr[1:], strict=False)):
            dense[row, features.indices[start:stop]] = features.data[start:stop]
        return dense
    return np.asarray(features)


def _both(path, target=None):
    """A table that is read at once, and as a stream: both are the same, or both are refused."""
    found = []
    for read in (
        lambda: load(path, target=target, dtype=None),
        lambda: fa.Stream(path, target=target, threads=0).table(),
    ):
        try:
            table = read()
            found.append((_dense(table).tolist(), table.labels.tolist(), table.weights is None))
        except CONTRACT as error:
            found.append(error)
    one, other = found
    if isinstance(one, Exception) != isinstance(other, Exception):
        raise AssertionError(f"read at once: {one!r:.120}; as a stream: {other!r:.120}")
    if isinstance(one, Exception):
        yield "the stream"
        raise other
    assert repr(one) == repr(other), f"{one} at once, {other} as a stream"
    yield one


def _read_svmlight(path, rows):
    for found in _both(path):
        yield "compare"
        if rows is not None:
            dense, labels, unweighted = found
            assert unweighted, "weights are found where there are none"
            assert len(labels) == len(rows), f"{len(labels)} rows are read of {len(rows)}"
            zero_based = False
            for row, (label, values) in enumerate(rows):
                assert labels[row] == float(label), f"label {label} is read as {labels[row]}"
                for column, value in values.items():
                    mine = dense[row][column - (not zero_based)]
                    assert mine == float(value), f"{value} is read as {mine}"
                assert np.count_nonzero(dense[row]) == sum(float(v) != 0 for v in values.values())


def _read_npz(path):
    table = load(path)
    yield "labels"
    assert len(table.labels) == table.features.shape[0]


def _of_fields(rng):
    return rng.choice(wild_files.KINDS)(dict(_members(rng.random() < 0.3)), rng)


# For each kind of file the end of its name, and a function of chances that gives its content and what reads it.
def _files(rng):
    kind = rng.choice(["svm", "svm", "svm bytes", "csv", "csv bytes", "parquet", "arrow", "npz", "npz bytes", "model"])
    kind = rng.choice([kind, kind, kind, "journal"])
    if kind == "svm":
        content, rows = svmlight(rng)
        return kind, "data.svm", content, lambda path: _read_svmlight(path, rows)
    if kind == "svm bytes":
        return kind, "data.svm", _some_bytes(svmlight(rng)[0], rng), lambda path: _read_svmlight(path, None)
    if kind.startswith("csv"):
        content = csv(rng)
        return kind, "data.csv", _some_bytes(content, rng) if "bytes" in kind else content, lambda p: _both(p, "label")
    if kind in ("parquet", "arrow"):
        content = _some_bytes(_stored(kind, rng.random() < 0.5), rng)
        return kind, f"data.{kind}", content, lambda path: _both(path, "label")
    if kind.startswith("npz"):
        content = _npz(rng)
        return kind, "data.npz", _some_bytes(content, rng) if "bytes" in kind else content, _read_npz
    if kind == "model":
        return kind, "model.npz", _of_fields(rng), _read_model
    return kind, "runs.jsonl", _journal(rng), _read_journal


def call(number, seed):
    """Read file `number` of those of a seed; what is wrong with that, in words, or None."""
    rng = random.Random(f"examples/{seed}/{number}")
    kind, name, content, read = _files(rng)
    Path(name).write_bytes(content)
    doing = "read"
    try:
        for step in read(name):
            doing = step if isinstance(step, str) else doing
    except CONTRACT as error:
        if doing in ("read", "the stream") and Path(name).stem not in str(error):
            return f"{kind}: {doing}: the file is not named: {type(error).__name__}: {error!s:.200}"
        if kind == "model" and doing != "read" and not isinstance(error, ValueError | OSError):
            return f"{kind}: {doing}: {described(error)}"
    except Exception as error:
        return f"{kind}: {doing}: {described(error)}"
    finally:
        os.unlink(name)
    return None


if __name__ == "__main__":
    sys.exit(main(__doc__, __file__, call))
