"""Files in parts: what is written comes back, whichever rows are asked for, and what is not whole is refused."""

import copy
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastadagrad.support import array_file, parted_file
from fastadagrad.support.array_file import Damaged
from fastadagrad.support.parted_file import Piece, assembled, part_of, record_of, write_part

IDENT = "0123456789ab"
ROWS = 11
WHOLE = {
    "table": np.arange(33.0).reshape(11, 3),
    "counts": np.arange(11),
    "number": np.array(7.5),
    "none": np.ones((0, 2)),
}


def written(path, bounds=(0, 4, 4, 11), ident=IDENT, whole=WHOLE):
    """What `write_part` returns for the parts of a file, each with the rows between two bounds."""
    found = []
    for number, (start, stop) in enumerate(pairwise(bounds)):
        pieces = {name: Piece(array[start:stop], start, array.shape) for name, array in whole.items() if array.ndim}
        if number == 0:
            pieces["number"] = Piece(whole["number"], 0, ())
        found.append(write_part(part_of(str(path), ident, number), ident, pieces))
    return found


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.npz"


def test_all_of_it(path):
    arrays, shapes = assembled(str(path), record_of(written(path)))
    assert shapes == {name: array.shape for name, array in WHOLE.items()}
    for name, array in WHOLE.items():
        np.testing.assert_array_equal(arrays[name], array, strict=True)


@settings(deadline=None)
@given(st.lists(st.integers(0, ROWS), max_size=5), st.integers(0, ROWS), st.integers(0, ROWS))
def test_any_rows_of_any_parts(tmp_path_factory, inner, start, stop):
    path = tmp_path_factory.mktemp("parts") / "file.npz"
    start, stop = sorted((start, stop))
    record = record_of(written(path, [0, *sorted(inner), ROWS]))
    arrays, _ = assembled(str(path), record, lambda name, shape: (start, stop) if shape and shape[0] else (0, 1))
    np.testing.assert_array_equal(arrays["table"], WHOLE["table"][start:stop], strict=True)
    np.testing.assert_array_equal(arrays["counts"], WHOLE["counts"][start:stop], strict=True)


def test_an_array_that_does_not_fit_takes_no_memory(path):
    arrays, shapes = assembled(str(path), record_of(written(path)), lambda name, shape: None)
    assert arrays["table"].strides == (0, 0)
    assert arrays["table"].shape == shapes["table"] == (11, 3)


def test_no_part_is_opened_that_has_none_of_the_rows(path):
    record = record_of(written(path))
    path.with_name(record["parts"][2]["name"]).write_bytes(b"damaged, but as long as it was" * 100)
    arrays, _ = assembled(str(path), record, lambda name, shape: (0, 4) if shape else (0, 1))
    assert arrays["counts"].tolist() == [0, 1, 2, 3]
    with pytest.raises(Damaged, match="not a whole fastadagrad part file"):
        assembled(str(path), record)


@pytest.mark.parametrize(("wanted", "expected"), [(None, [0, 10, 20, 3, 4, 5, 60, 7, 8, 9, 10]), ((6, 9), [60, 7, 8])])
def test_rows_that_were_written_one_by_one_replace_others(path, wanted, expected):
    whole = written(path)
    for number, rows in enumerate(([1, 2], [], [6])):
        numbers = np.array(rows, np.int64)
        piece = Piece(numbers * 10, numbers[0] if rows else 0, (11,), numbers)
        whole.append(write_part(part_of(str(path), "f" * 12, number), "f" * 12, {"counts": piece}))
    arrays, _ = assembled(str(path), record_of(whole), wanted and (lambda name, shape: wanted if shape else (0, 1)))
    assert arrays["counts"].tolist() == expected


def without(record, path):
    path.with_name(record["parts"][1]["name"]).unlink()


def of_another_time(record, path):
    written(path, ident="a" * 12)
    name = record["parts"][2]["name"]
    path.with_name(name.replace(IDENT, "a" * 12)).rename(path.with_name(name))


def truncated(record, path):
    part = path.with_name(record["parts"][2]["name"])
    part.write_bytes(part.read_bytes()[:-20])


def changed(*way, value):
    def change(record, path):
        inner = record
        for step in way[:-1]:
            inner = inner[step]
        inner[way[-1]] = value

    return change


WAYS = {
    "a part is missing": (without, r"its part file\.npz\.0123456789ab\.1 is not beside it \(all files of one name"),
    "a part is of another time": (of_another_time, "its part .* is of another time"),
    "a part is torn": (truncated, "not a whole fastadagrad part file"),
    "a gap": (changed("parts", 0, "rows", "table", value=[0, 3]), "its parts lack rows of 'table', or have some twice"),
    "rows that are twice": (changed("parts", 0, "rows", "counts", value=[0, 5]), "or have some twice"),
    "more rows than there are": (
        changed("parts", 2, "rows", "table", value=[4, 10**12]),
        "is shorter than the rows that it should have",
    ),
    "a wide array": (changed("arrays", "table", value=["<f8", [11, 10**12]]), "is shorter than the rows"),
    "another dtype": (changed("arrays", "table", value=["<f4", [11, 3]]), "'table' in its part .* is float64"),
    "no dtype": (changed("arrays", "table", value=["seven", [11, 3]]), "seven"),
    "another array": (changed("parts", 0, "rows", "stray", value=[0, 4]), "stray"),
    "a listed array without numbers": (changed("parts", 2, "listed", "counts", value="numbers/0"), "lack rows"),
    "a part elsewhere": (changed("parts", 0, "name", value="../file.npz.0123456789ab.0"), "is no name of a part"),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_not_whole_is_refused(path, way):
    damage, complaint = WAYS[way]
    record = copy.deepcopy(record_of(written(path)))
    damage(record, path)
    with pytest.raises(Damaged, match=complaint) as raised:
        assembled(str(path), record)
    assert str(raised.value).startswith(f"{path} is not whole: ") or "part file" in str(raised.value)


def test_parts_that_are_named_are_kept(path):
    old, new = written(path, ident="a" * 12), written(path, ident="b" * 12)
    other = written(path.with_name("other.npz"))
    array_file.write(path, "example", {parted_file.RECORD: record_of(new)}, {})
    assert parted_file.named_in(str(path)) == [each["part"]["name"] for each in new]
    parted_file.clear(str(path), parted_file.named_in(str(path)))
    left = {each.name for each in path.parent.iterdir()}
    assert left == {path.name, *(each["part"]["name"] for each in [*new, *other])}
    assert old


def test_a_file_in_one_part(path):
    array_file.write(path, "example", {}, {})
    assert parted_file.named_in(str(path)) == []


@pytest.mark.parametrize("header", [None, 3, {parted_file.RECORD: 3}, {parted_file.RECORD: {"parts": [{}]}}])
def test_headers_of_another_kind(path, header):
    array_file.write(path, "example", header, {})
    with pytest.raises(Damaged, match="does not say which parts it has"):
        parted_file.named_in(str(path))
