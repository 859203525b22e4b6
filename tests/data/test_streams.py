"""Streams: blocks of svmlight text, CSV, Parquet and Arrow, which together are what is read whole."""

import gzip
import io
import os
import sys
import threading

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

import fastadagrad as fa
from fastadagrad.data import stream_tables, stream_text
from fastadagrad.data.ahead import in_order
from fastadagrad.data.loading import load
from fastadagrad.data.streams import read_blocks, settle_columns
from fastadagrad.data.tables import CSR
from fastadagrad.kernels.text.svmlight import sort_rows

RNG = np.random.default_rng(0)
N = 3000
NUMBERS = RNG.normal(size=(N, 3)).round(3)
WORDS = np.array(["red", "green", "blue", ""])[RNG.integers(0, 4, N)]
LABELS = np.where(NUMBERS[:, 0] > 0, "yes", "no")


def frame(**more):
    columns = {f"x{j}": NUMBERS[:, j] for j in range(3)}
    return pa.table({**columns, **more, "y": LABELS})


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of some kilobytes, so that small files have many."""
    monkeypatch.setattr(stream_tables, "BATCH", 8 * 3 * 256)
    monkeypatch.setattr(stream_text, "BLOCK", 2000)


def svmlight(path, base=1):
    rows = (" ".join(f"{j + base}:{x}" for j, x in enumerate(row) if x > 0) for row in NUMBERS)
    path.write_text("".join(f"{int(row[0] > 0)} {text}\n" for row, text in zip(NUMBERS, rows, strict=True)))
    return path


def write(path, table):
    if path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    elif path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=700)
    else:
        make = pa.ipc.new_file if path.suffix == ".arrow" else pa.ipc.new_stream
        with make(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=700)
    return path


FILES = ["d.csv", "d.parquet", "d.arrow", "d.arrows"]


def same(table, other):
    np.testing.assert_array_equal(table.labels, other.labels)
    if isinstance(table.features, CSR):
        for part, its in zip(table.features[:3], other.features[:3], strict=True):
            np.testing.assert_array_equal(part, its)
    else:
        np.testing.assert_array_equal(table.features, other.features)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("base", [0, 1])
def test_blocks_of_text_are_the_whole(tmp_path, threads, compress, base):
    path = svmlight(tmp_path / "d.svm", base)
    if compress:
        path = tmp_path / "d.svm.gz"
        path.write_bytes(gzip.compress((tmp_path / "d.svm").read_bytes()))
    stream = fa.Stream(path, threads=threads)
    assert len(list(stream)) > 20
    same(stream.table(), load(path, dtype=None))
    assert stream.zero_based == (base == 0)
    assert stream.repeatable


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("threads", [0, 3])
def test_blocks_with_named_columns_are_the_whole(tmp_path, name, threads):
    stream = fa.Stream(write(tmp_path / name, frame()), target="y", threads=threads)
    assert len(list(stream)) > 4
    table = stream.table()
    np.testing.assert_array_equal(table.features, NUMBERS)
    np.testing.assert_array_equal(table.labels, LABELS)
    assert table.feature_names == stream.feature_names == ("x0", "x1", "x2")
    same(load(tmp_path / name, target="y", dtype=None), table)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", ["d.svm", *FILES])
def test_blocks_say_where_they_begin(tmp_path, name):
    path = svmlight(tmp_path / name) if name == "d.svm" else write(tmp_path / name, frame())
    stream = fa.Stream(path, target=None if name == "d.svm" else "y")
    ends = np.cumsum([len(table.labels) for table in stream]).tolist()
    backwards = {
        table.first: len(table.labels) for table in read_blocks(stream, lambda t: t, lambda n: np.arange(n)[::-1])
    }
    assert sorted(backwards) == [0, *ends[:-1]]
    assert [first + backwards[first] for first in sorted(backwards)] == ends
    assert stream.table().first is None


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", ["d.svm", "d.parquet", "d.arrow"])
def test_blocks_come_in_the_order_asked_for(tmp_path, name):
    path = svmlight(tmp_path / name) if name == "d.svm" else write(tmp_path / name, frame())
    stream = fa.Stream(path, target=None if name == "d.svm" else "y")
    in_sequence = [table.labels.tolist() for table in stream]
    backwards = [table.labels.tolist() for table in read_blocks(stream, lambda t: t, lambda n: np.arange(n)[::-1])]
    assert backwards != in_sequence
    assert sorted(map(len, backwards)) == sorted(map(len, in_sequence))
    if name != "d.parquet":  # whose row groups are in several batches, in order
        blocks = {"d.svm": 1, "d.arrow": 3}[name]
        groups = [in_sequence[i : i + blocks] for i in range(0, len(in_sequence), blocks)]
        assert backwards == [block for group in groups[::-1] for block in group]


def fnv(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        h = (h ^ (h >> 33)) * factor % 2**64
    return h ^ (h >> 33)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("encode", [False, True])
def test_strings_are_hashed_with_the_names_of_their_columns(tmp_path, name, encode):
    words = pa.array(WORDS)
    if encode and name != "d.csv":
        words = words.dictionary_encode()
    stream = fa.Stream(write(tmp_path / name, frame(word=words)), target="y", hash_bits=12)
    found = stream.table().features
    assert found.shape == (N, 2**12)
    for row in range(0, N, 100):
        expected = np.zeros(2**12)
        for j in range(3):
            expected[fnv(f"x{j}") >> 52] += NUMBERS[row, j]
        expected[fnv(f"word={WORDS[row]}") >> 52] += 1
        dense = np.zeros(2**12)
        part = slice(found.indptr[row], found.indptr[row + 1])
        dense[found.indices[part]] = found.data[part]
        np.testing.assert_array_equal(dense, expected)


def test_strings_have_18_bits_by_default(tmp_path):
    assert fa.Stream(write(tmp_path / "d.csv", frame(word=WORDS)), target="y").hash_bits == 18


def test_columns_are_dropped_weighed_and_taken_as_strings(tmp_path):
    path = write(tmp_path / "d.csv", frame(zip=np.arange(N) % 7, w=np.arange(N) % 3))
    stream = fa.Stream(path, target="y", weight="w", drop=["x2"], categories=["zip"], hash_bits=10)
    assert (stream.columns.numbers, stream.columns.categories) == (("x0", "x1"), ("zip",))
    table = stream.table()
    np.testing.assert_array_equal(table.weights, np.arange(N) % 3)
    assert fnv("zip=3") >> 54 in table.features.indices[table.features.indptr[3] : table.features.indptr[4]]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", FILES)
def test_missing_numbers_are_refused_or_filled(tmp_path, name):
    some = NUMBERS[:, 0].tolist()
    some[2000] = some[2500] = None
    path = write(tmp_path / name, frame(some=pa.array(some)))
    with pytest.raises(ValueError, match=rf"{name}, row 2000 \(counted from 0\), column 'some': is missing.*--missing"):
        fa.Stream(path, target="y").table()
    zero = fa.Stream(path, target="y", missing="zero").table()
    mean = fa.Stream(path, target="y", missing="mean").table()
    present = np.delete(NUMBERS[:, 0], [2000, 2500])
    assert zero.features[2000].tolist() == [*NUMBERS[2000], 0.0]
    np.testing.assert_allclose(mean.features[[2000, 2500], 3], present.mean(), rtol=1e-12)
    np.testing.assert_array_equal(np.delete(mean.features[:, 3], [2000, 2500]), present)


def test_means_of_the_training_fill_what_is_missing_later(tmp_path):
    first = write(tmp_path / "a.csv", pa.table({"x": [1.0, 3.0, None], "y": [0, 1, 1]}))
    day = pa.array([0, 1], pa.date32())
    later = write(tmp_path / "b.csv", pa.table({"y": [0, 1], "day": day, "x": [None, 8.0], "word": ["a", "b"]}))
    columns = settle_columns(fa.Stream(first, target="y", missing="mean"))
    again = fa.Stream(later, columns=columns).table()
    assert again.features.tolist() == [[2.0], [8.0]]
    assert again.labels.tolist() == [0, 1]


def test_standard_input_is_read_once(monkeypatch):
    for text, more in ((b"1 1:2\n0 2:1\n", {}), (b"a,y\n1,2\n3,4\n", {"target": "y"})):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(text))))
        stream = fa.Stream("-", **more)
        assert not stream.repeatable
        assert len(stream.table().labels) == 2
        assert stream.hash_bits == (None if more else 18)
        with pytest.raises(ValueError, match="can be read once only"):
            stream.table()


def test_an_arrow_stream_comes_through_standard_input(monkeypatch):
    content = io.BytesIO()
    with pa.ipc.new_stream(content, frame().schema) as writer:
        writer.write_table(frame())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content.getvalue()))))
    np.testing.assert_array_equal(fa.Stream("-", target="y").table().features, NUMBERS)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_quoted_line_breaks_and_semicolons(tmp_path, newline):
    path = tmp_path / "d.csv"
    path.write_bytes(f'a;word;y{newline}1,5;"two{newline}lines";0{newline}'.encode())
    stream = fa.Stream(path, target="y", hash_bits=8)
    assert stream.columns.categories == ("a", "word")  # 1,5 is no number with a point
    assert len(stream.table().labels) == 1


def test_whole_numbers_may_be_followed_by_others(tmp_path, monkeypatch):
    monkeypatch.setattr(stream_tables, "HEAD", 40)
    path = tmp_path / "d.csv"
    path.write_text("a,y\n" + "1,0\n" * 20 + "0.5,1\n")
    assert fa.Stream(path, target="y").table().features[-1].tolist() == [0.5]


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ({"a": [1.0], "y": [1]}, {}, "say which column has the labels.*'a', 'y'"),
        ({"a": [1.0], "y": [1]}, {"target": "Y"}, "no column 'Y'.*did you mean 'y'"),
        ({"a": [1.0], "y": [1]}, {"target": "y", "drop": ["b"]}, r"no column 'b' \(drop\)"),
        ({"a": [1.0], "y": [1]}, {"target": "y", "drop": ["a"]}, "no features beside"),
        ({"a": [np.inf], "y": [1]}, {"target": "y"}, "row 0 .*'a': is inf"),
        ({"a": [1.0], "y": pa.array([None], pa.int8())}, {"target": "y"}, "'y': is missing, and it is the label"),
        ({"a": [1.0], "y": [1], "w": [-1.0]}, {"target": "y", "weight": "w"}, "weights must be at least 0"),
        ({"a": [1.0], "y": [1]}, {"target": "y", "missing": "median"}, "missing must be one of"),
        ({"a": [1.0], "y": [1]}, {"target": "y", "format": "xml"}, "format must be one of"),
    ],
)
def test_what_is_refused_is_named(tmp_path, table, options, message):
    path = write(tmp_path / "d.parquet", pa.table(table))
    with pytest.raises(ValueError, match=message):
        fa.Stream(path, **options).table()


def test_dates_are_no_features(tmp_path):
    table = pa.table({"day": pa.array([0, 1], pa.date32()), "a": [1.0, 2.0], "y": [0, 1]})
    path = write(tmp_path / "d.parquet", table)
    with pytest.raises(TypeError, match=r"column 'day' is date32\[day\].*--drop.*--categories"):
        fa.Stream(path, target="y")
    assert fa.Stream(path, target="y", categories=["day"]).table().features.shape == (2, 2**18)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("threads", [0, 2])
def test_errors_name_the_line_of_the_whole_text(tmp_path, threads):
    path = svmlight(tmp_path / "d.svm")
    lines = path.read_text().splitlines(keepends=True)
    lines[2500] = "1 x:1\n"
    path.write_text("".join(lines))
    with pytest.raises(ValueError, match=r"d\.svm: line 2501: 'x:1' has an index that is not a whole number"):
        list(fa.Stream(path, threads=threads))


@pytest.mark.usefixtures("small_blocks")
def test_a_later_column_0_is_refused(tmp_path):
    path = svmlight(tmp_path / "d.svm")
    with open(path, "a") as file:
        file.write("1 0:1\n")
    with pytest.raises(ValueError, match=f"line {N + 1}: .*if columns count from 0, say so"):
        list(fa.Stream(path))


def test_damaged_and_empty_sources_are_refused(tmp_path):
    (tmp_path / "d.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(ValueError, match=r"d\.parquet is no sound Parquet file"):
        fa.Stream(tmp_path / "d.parquet", target="y")
    (tmp_path / "d.svm").write_text("# nothing\n")
    with pytest.raises(ValueError, match="has no rows"):
        fa.Stream(tmp_path / "d.svm").table()
    (tmp_path / "d.svm.gz").write_bytes(gzip.compress(b"1 1:1\n" * 1000)[:-9])
    with pytest.raises(ValueError, match="truncated"):
        fa.Stream(tmp_path / "d.svm.gz").table()
    with pytest.raises(FileNotFoundError):
        fa.Stream(tmp_path / "nothing.svm")


def test_results_come_in_the_order_of_the_jobs():
    started = threading.Barrier(3)

    def job(i):
        if i < 3:
            started.wait(10)  # three are done side by side
        return i

    assert list(in_order(iter([lambda i=i: job(i) for i in range(50)]), 3, 5)) == list(range(50))


def test_no_more_than_the_room_is_drawn_ahead_and_the_rest_is_left():
    drawn = []

    def jobs():
        for i in range(100):
            drawn.append(i)
            yield lambda i=i: i

    results = in_order(jobs(), 2, 4)
    assert next(results) == 0
    results.close()
    assert len(drawn) <= 8
    assert threading.active_count() < 20


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_comes_in_the_place_of_its_result(threads):
    def job(i):
        if i == 2:
            raise ValueError("the third")
        return i

    results = in_order(iter([lambda i=i: job(i) for i in range(5)]), threads, 3)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="the third"):
        next(results)


def test_rows_of_any_length_are_sorted_stably():
    lengths = np.append(RNG.integers(0, 130, 300), [64, 65])
    starts = np.append(0, np.cumsum(lengths))
    columns, data = RNG.integers(0, 200, starts[-1]).astype(np.int32), RNG.normal(size=starts[-1])
    sorted_columns, sorted_data = columns.copy(), data.copy()
    repeated = sort_rows(starts, sorted_columns, sorted_data)
    first = -1
    for row in range(len(lengths)):
        part = slice(starts[row], starts[row + 1])
        order = np.argsort(columns[part], kind="stable")
        np.testing.assert_array_equal(sorted_columns[part], columns[part][order])
        np.testing.assert_array_equal(sorted_data[part], data[part][order])
        if first < 0 and (np.diff(sorted_columns[part]) == 0).any():
            first = row
    assert repeated == first


BLANK_LABELS = ["yes", "no", "", "yes", " "]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("labels", [BLANK_LABELS, ["yes", "no", None, "yes", "no"], [1.0, 0.0, None, 1.0, 0.0]])
def test_a_missing_label_is_refused_with_its_row(tmp_path, name, labels):
    path = write(tmp_path / name, pa.table({"a": [0.0, 1.0, 2.0, 3.0, 4.0], "y": labels}))
    for read in (lambda: fa.Stream(path, target="y").table(), lambda: load(path, target="y")):
        with pytest.raises(ValueError, match=r"row 2 \(counted from 0\), column 'y': is missing, and it is the label"):
            read()


@pytest.mark.parametrize("name", FILES)
def test_a_label_that_nobody_needs_may_be_missing(tmp_path, name):
    path = write(tmp_path / name, pa.table({"a": [0.0, 1.0], "y": ["yes", ""]}))
    assert fa.Stream(path, target="y", labelled=False).table().labels.tolist() == ["yes", ""]
    path = write(tmp_path / name, pa.table({"a": [0.0, 1.0], "y": pa.array([None, None], pa.string())}))
    assert np.isnan(fa.Stream(path, target="y", labelled=False).table().labels).all()


@pytest.mark.parametrize("name", ["d.parquet", "d.arrow"])
def test_a_file_as_standard_input_is_read_once(monkeypatch, tmp_path, name):
    path = write(tmp_path / name, frame())
    with open(path, "rb") as raw:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw))
        stream = fa.Stream("-", target="y")
        same(stream.table(), fa.Stream(path, target="y").table())
        assert not stream.repeatable
        with pytest.raises(ValueError, match="standard input can be read once only, and has been"):
            list(stream)
        assert not raw.closed


@pytest.mark.parametrize("name", ["d.parquet", "d.arrow"])
def test_a_pipe_has_no_end_to_begin_with(monkeypatch, tmp_path, name):
    content = write(tmp_path / name, frame()).read_bytes()
    reading, writing = os.pipe()
    with open(writing, "wb", buffering=0) as pipe:
        pipe.write(content[:4096])
    with open(reading, "rb") as raw:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw))
        with pytest.raises(ValueError, match=r"standard input is .*pipe"):
            fa.Stream("-", target="y")
