"""Normalised features and labels against NumPy, SciPy and pandas."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastadagrad.data.dataset import Dataset
from fastadagrad.data.tables import CSR, Table, as_features, as_table


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "X",
    [
        np.arange(6).reshape(2, 3),
        np.arange(6.0).reshape(2, 3, order="F"),
        np.arange(12, dtype=np.float32).reshape(2, 6)[:, ::2],
        np.eye(3, dtype=bool),
        np.arange(6, dtype=">f8").reshape(3, 2),
        np.array([[1, 2.5], [True, np.float32(3)]], object),
        [[1, 2], [3, 4]],
        np.zeros((2, 0)),
    ],
)
def test_dense_features_are_what_numpy_casts_in_c_order(X, dtype):
    features = as_features(X, dtype=dtype)
    np.testing.assert_array_equal(features, np.asarray(X).astype(dtype), strict=True)
    assert type(features) is np.ndarray
    assert features.flags.c_contiguous
    assert features.dtype.isnative


def test_features_are_not_copied_without_need_and_never_changed():
    X = np.ones((2, 3), np.float32)
    assert np.shares_memory(as_features(X), X)
    X.flags.writeable = False
    assert np.shares_memory(as_features(X), X)
    assert not np.shares_memory(as_features(X, dtype=np.float64), X)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.data())
def test_sparse_features_are_the_dense_ones_sorted_and_distinct(data):
    sparse = pytest.importorskip("scipy.sparse")
    rows, columns = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 8))
    size = data.draw(st.integers(0, 30))
    indices = data.draw(st.lists(st.integers(0, columns - 1), min_size=size, max_size=size))
    values = data.draw(st.lists(st.integers(-50, 50), min_size=size, max_size=size))
    cuts = sorted(data.draw(st.lists(st.integers(0, size), min_size=rows - 1, max_size=rows - 1)))
    dtype = data.draw(st.sampled_from([np.float64, np.float32, np.int8]))
    parts = np.array(values, dtype), np.array(indices, np.int64), np.array([0, *cuts, size])
    expected = np.zeros((rows, columns))
    for row in range(rows):
        for entry in range(parts[2][row], parts[2][row + 1]):
            expected[row, indices[entry]] += values[entry]
    matrix = sparse.csr_array(parts, shape=(rows, columns))
    before = [part.copy() for part in (matrix.data, matrix.indices, matrix.indptr)]

    csr = as_features(matrix)

    assert (csr.data.dtype, csr.indices.dtype, csr.indptr.dtype) == (np.float32, np.int32, np.int64)
    np.testing.assert_array_equal(sparse.csr_array(csr[:3], shape=csr.shape).toarray(), expected)
    for row in range(rows):
        assert np.all(np.diff(csr.indices[csr.indptr[row] : csr.indptr[row + 1]]) > 0)
    for part, old in zip((matrix.data, matrix.indices, matrix.indptr), before, strict=True):
        np.testing.assert_array_equal(part, old, strict=True)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"])
@pytest.mark.parametrize("family", ["array", "matrix"])
def test_every_sparse_form(form, family):
    sparse = pytest.importorskip("scipy.sparse")
    dense = np.array([[0.0, 1.5, 0.0], [2.0, 0.0, -1.0]])
    csr = as_features(getattr(sparse, f"{form}_{family}")(dense), dtype=np.float64)
    assert isinstance(csr, CSR)
    np.testing.assert_array_equal(sparse.csr_array(csr[:3], shape=csr.shape).toarray(), dense)


def test_normalised_sparse_features_pass_through():
    csr = CSR(np.float32([1, 2]), np.int32([0, 2]), np.int64([0, 1, 2]), (2, 3))
    again = as_features(csr)
    assert all(np.shares_memory(old, new) for old, new in zip(csr[:3], again[:3], strict=True))
    assert again.shape == (2, 3)


def test_duplicates_are_added_in_float64_in_order():
    csr = CSR(np.float64([1, 1e16, 1, -1e16]), np.int32([1, 0, 0, 0]), np.int64([0, 4]), (1, 2))
    assert as_features(csr, dtype=np.float64).data.tolist() == [(1e16 + 1) - 1e16, 1.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_feature_that_is_not_finite_is_named(bad):
    sparse = pytest.importorskip("scipy.sparse")
    pandas = pytest.importorskip("pandas")
    dense = np.arange(20.0).reshape(4, 5)
    dense[2, 3] = bad
    dense[3, 1] = np.nan
    for X in (dense, sparse.csc_array(dense), np.asfortranarray(dense)):
        with pytest.raises(ValueError, match=f"X has {bad} at row 2, column 3"):
            as_features(X)
    with pytest.raises(ValueError, match=rf"X has {bad} at row 2, column 3 \('d'\)"):
        as_features(pandas.DataFrame(dense, columns=list("abcde")))


def test_a_feature_beyond_float32_is_named_without_a_warning():
    X = np.array([[1.0, 1e-300], [2.0, -1e300]])
    with pytest.raises(ValueError, match=r"X has -inf at row 1, column 1 \(as float32\)"):
        as_features(X)
    np.testing.assert_array_equal(as_features(X, dtype=np.float64), X)


@pytest.mark.parametrize(
    ("X", "error", "said"),
    [
        (
            [1.0, 2.0],
            ValueError,
            r"shape \(2,\); for one row use X.reshape\(1, -1\), for one column X.reshape\(-1, 1\)",
        ),
        (np.zeros((2, 2, 2)), ValueError, r"two axes .* \(2, 2, 2\)"),
        (3.0, ValueError, "two axes"),
        ([[1, 2], [3]], ValueError, "rectangular"),
        ([["a", "b"]], TypeError, "real numbers, got dtype <U1"),
        (np.array([[1, "2"]], object), TypeError, "got '2' at row 0, column 1"),
        (np.array([[1, 2j]], object), TypeError, "row 0, column 1"),
        (np.eye(2, dtype=complex), TypeError, "complex128"),
        (np.zeros((2, 2), "M8[s]"), TypeError, "datetime64"),
        (np.ma.ones((2, 2)), TypeError, "masked array"),
        (CSR(np.array(["a"]), np.array([0]), np.array([0, 1]), (1, 1)), TypeError, "real numbers"),
        (CSR(np.ones(1), np.zeros(1), np.array([0, 1]), (1, 1)), TypeError, "must be integers"),
    ],
)
def test_other_features_are_refused(X, error, said):
    with pytest.raises(error, match=said):
        as_features(X)


def test_one_sparse_axis_is_refused():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(ValueError, match="two axes"):
        as_features(sparse.coo_array([1.0, 0.0]))


@pytest.mark.parametrize("dtype", [np.float16, int, "complex64"])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(ValueError, match="dtype must be float32 or float64"):
        as_features(np.eye(2), dtype=dtype)


def test_data_frames():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": [True, False]})
    frame["d"] = pandas.array([3, 4], dtype="Int64")
    table = as_table(frame, pandas.Series(["x", "y"]), name="frame")
    np.testing.assert_array_equal(table.features, np.float32([[1, 0.5, 1, 3], [2, 1.5, 0, 4]]), strict=True)
    assert table.labels.tolist() == ["x", "y"]
    assert table.labels.dtype.kind == "U"
    assert (table.name, table.feature_names) == ("frame", ("a", "b", "c", "d"))
    assert as_table(pandas.DataFrame(frame.to_numpy(float)), [1, 2]).feature_names is None
    frame["e"] = ["red", "blue"]
    with pytest.raises(TypeError, match=r"'red' at row 0, column 4 \('e'\)"):
        as_features(frame)
    frame["e"] = pandas.array([3, None], dtype="Int64")
    with pytest.raises(ValueError, match=r"missing \(<NA>\) at row 1, column 4 \('e'\)"):
        as_features(frame)


@pytest.mark.parametrize(
    ("y", "dtype"),
    [
        ([0, 1, 1], np.int64),
        ([0.5, -1.0, 2.0], np.float64),
        (np.array([1, 2, 3], np.uint8), np.uint8),
        (np.array([True, False, True]), np.bool),
        (["a", "b", "c"], "<U1"),
        (np.array(["a", "bc", "d"], object), "<U2"),
        (np.array([1, 2, 3], object), np.int64),
        (np.array([[1], [2], [3]]), np.int64),
        (np.arange(6)[::2], np.int64),
    ],
)
def test_labels_stay_as_they_are(y, dtype):
    labels = as_table(np.eye(3), y).labels
    assert labels.dtype == dtype
    assert labels.tolist() == np.asarray(y).ravel().tolist()
    assert labels.flags.c_contiguous


@pytest.mark.parametrize(
    "y",
    [
        np.array([b"a", "bé".encode(), b"c"]),
        np.array([b"a", "bé".encode(), b"c"], object),
        [b"a", "bé".encode(), b"c"],
        [b"a", "bé", b"c"],
        np.array(["a", "bé".encode(), np.bytes_(b"c")], object),
        [np.bytes_(b"a"), np.str_("bé"), "c"],
        np.array([[b"a"], ["bé".encode()], [b"c"]]),
        ["a", "bé", "c"],
    ],
)
def test_labels_of_bytes_are_text(y):
    labels = as_table(np.eye(3), y).labels
    assert labels.tolist() == ["a", "bé", "c"]
    assert {type(each) for each in labels.tolist()} == {str}


@pytest.mark.parametrize(
    ("y", "error", "said"),
    [
        ([0, 1], ValueError, "3 rows of X and 2 labels"),
        ([0, 1, np.nan], ValueError, "y has nan at row 2"),
        ([np.inf, 1, 1], ValueError, "y has inf at row 0"),
        (np.eye(3), ValueError, r"one label a row, got shape \(3, 3\)"),
        (None, ValueError, "one label a row"),
        (np.array(["a", 1, "b"], object), TypeError, "got 1 at row 1"),
        (["a", 1, "b"], TypeError, "got 1 at row 1"),
        ((1, "a", "b"), TypeError, "got 'a' at row 1"),
        ([b"a", b"caf\xe9", b"b"], ValueError, r"y has b'caf\\xe9' at row 1, which is no text in UTF-8: decode it"),
        (np.array([b"a", 1, b"b"], object), TypeError, "got 1 at row 1"),
        (np.array([1, None, 3], object), ValueError, r"missing \(None\) at row 1"),
        ([1j, 1, 1], TypeError, "complex128"),
        (np.ma.array([1, 2, 3]), TypeError, "masked"),
    ],
)
def test_other_labels_are_refused(y, error, said):
    with pytest.raises(error, match=said):
        as_table(np.eye(3), y)


def test_tables_without_rows_are_refused_but_features_without_rows_are_not():
    with pytest.raises(ValueError, match=r"X has no rows: its shape is \(0, 3\)"):
        as_table(np.zeros((0, 3)), [])
    assert as_features(np.zeros((0, 3))).shape == (0, 3)


def test_feature_names_must_fit():
    assert as_table(np.eye(2), [0, 1], feature_names=["a", "b"]).feature_names == ("a", "b")
    with pytest.raises(ValueError, match="each of the 2 columns, got 1"):
        as_table(np.eye(2), [0, 1], feature_names=["a"])


def test_a_table_is_frozen():
    table = as_table(np.eye(2), [0, 1])
    assert isinstance(table, Table)
    with pytest.raises(AttributeError):
        table.name = "other"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("float16", "float32"),
        ("float32", "float32"),
        ("float64", "float64"),
        ("longdouble", "float64"),
        ("bool", "float32"),
        ("uint16", "float32"),
        ("int32", "float64"),
        ("int64", "float64"),
    ],
)
def test_without_a_dtype_nothing_is_rounded_but_what_is_wider_than_float64(given, kept):
    X = np.eye(3, dtype=given)
    assert as_features(X, dtype=None).dtype == kept
    csr = CSR(X.diagonal(), np.arange(3, dtype=np.int32), np.arange(4), (3, 3))
    assert as_features(csr, dtype=None).data.dtype == kept
    assert as_table(X, [1, 2, 3], dtype=None).features.dtype == kept


BAD_INDICES = [
    (np.array([0, 1, 3]), "got 0 to 3"),
    (np.array([0, -1, 1]), "got -1 to 1"),
    (np.array([0, 1, 2**32]), "got 0 to 4294967296"),
    (np.array([0, 1, -(2**32)]), "got -4294967296 to 1"),
    (np.array([0, 1, 2**64 - 1], np.uint64), "got 0 to 18446744073709551615"),
    (np.array([0, 1, 300], ">i4"), "got 0 to 300"),
    (np.array([0, 1, 300], np.uint16), "got 0 to 300"),
]
BAD_STARTS = [
    ([0, 2], "must rise from 0 in 3 numbers, got 2 of them"),
    ([1, 2, 3], "must rise from 0 in 3 numbers"),
    ([0, 3, 2], "must rise from 0 in 3 numbers"),
    ([0, 9, 3], "must rise from 0 in 3 numbers"),
    ([0, 2, 4], "ends at 4, but X has 3 data elements and 3 indices"),
    (np.array([0, 2, 2**63 + 3], np.uint64), "ends at 9223372036854775811"),
    (np.array([0, 2, 4], ">i4"), "ends at 4"),
]


@pytest.mark.parametrize(("indices", "message"), BAD_INDICES)
def test_columns_out_of_range(indices, message):
    with pytest.raises(ValueError, match=rf"indices of X must be in \[0, 3\), {message}"):
        as_features(CSR(np.ones(3), indices, np.array([0, 2, 3]), (2, 3)))


@pytest.mark.parametrize(("indptr", "message"), BAD_STARTS)
def test_starts_that_do_not_fit(indptr, message):
    with pytest.raises(ValueError, match=f"indptr of X {message}"):
        as_features(CSR(np.ones(3), np.array([0, 1, 2]), np.asarray(indptr), (2, 3)))


def test_parts_of_different_lengths():
    for data, indices in ((np.ones(2), np.arange(3)), (np.ones(3), np.arange(2))):
        with pytest.raises(ValueError, match="ends at 3, but X has"):
            as_features(CSR(data, indices, np.array([0, 2, 3]), (2, 3)))
    kept = as_features(CSR(np.ones(9), np.array([0, 1, 2, 77]), np.array([0, 2, 3]), (2, 3)))
    assert (kept.data.tolist(), kept.indices.tolist()) == ([1, 1, 1], [0, 1, 2])


@pytest.mark.parametrize("dtype", ["i1", "u2", "<i4", ">i4", "<u4", "<i8", ">i8", "<u8"])
@pytest.mark.parametrize("strided", [False, True])
def test_indices_of_any_dtype_and_layout(dtype, strided):
    indices, indptr = np.array([0, 2, 1], dtype), np.array([0, 2, 3], dtype)
    if strided:
        indices, indptr = np.repeat(indices, 2)[::2], np.repeat(indptr, 2)[::2]
    indices.flags.writeable = False
    kept = as_features(CSR(np.arange(3.0), indices, indptr, (2, 3)), dtype=np.float64)
    assert (kept.indices.dtype, kept.indptr.dtype) == (np.int32, np.int64)
    assert (kept.data.tolist(), kept.indices.tolist(), kept.indptr.tolist()) == ([0, 1, 2], [0, 2, 1], [0, 2, 3])


class TestWhatIsMissing:
    """None, NaN and pandas' NA among objects are told as missing, and where."""

    def test_features(self):
        frame = pd.DataFrame({"a": pd.array([1, 2, None], "Int64"), "b": pd.array([1.5, 2.5, 3.5], "Float64")})
        with pytest.raises(ValueError, match=r"X is missing \(<NA>\) at row 2, column 0 \('a'\): remove or replace it"):
            as_features(frame)
        assert as_features(frame.fillna(0)).tolist() == [[1, 1.5], [2, 2.5], [0, 3.5]]
        with pytest.raises(ValueError, match="X has nan at row 1, column 0"):
            as_features(np.array([[1, 2], [None, 3]], object))

    @pytest.mark.parametrize(
        "labels",
        [
            pd.Series(["a", None, "b"], dtype="string"),
            pd.array([True, None, False], "boolean"),
            np.array(["a", None, "b"], object),
            np.array([1, None, 2], object),
        ],
    )
    def test_labels(self, labels):
        with pytest.raises(ValueError, match=r"y is missing \(.*\) at row 1: remove rows without a label"):
            as_table(np.ones((3, 1)), labels)

    def test_the_first_label(self):
        with pytest.raises(ValueError, match=r"y is missing \(<NA>\) at row 0"):
            as_table(np.ones((2, 1)), pd.Series([None, "b"], dtype="string"))


class Lazy:
    """What matters of a polars.LazyFrame."""

    def collect(self):
        return np.ones((2, 2))


def test_frames_that_are_not_computed_yet():
    with pytest.raises(TypeError, match=r"X is a Lazy, not computed yet: pass X.collect\(\)"):
        as_features(Lazy())
    with pytest.raises(TypeError, match=r"a Lazy, which has not been computed yet: pass its collect\(\)"):
        Dataset([Lazy(), np.ones(2)])


LARGE = 2**53 + 1
OBJECTS = np.array([1, 2**70, 3], dtype=object)


@pytest.mark.parametrize("y", [[1, 2**64, 2], [0.5, 10**400, 1.5], [-(2**63) - 1, 0, 1], [10**5000, 0, 0], OBJECTS])
def test_labels_beyond_64_bits_are_refused_in_words(y):
    row = [int(value > 2**63 or value < -(2**63)) for value in y].index(1)
    said = rf"y has the whole number .* at row {row}, beyond 64 bits: give classes smaller numbers or strings"
    with pytest.raises(ValueError, match=said):
        as_table(np.eye(3), y)


@pytest.mark.parametrize(
    "y", [[LARGE, 0.5, 1], [True, LARGE, 0.5], [2**63 + 1, -1, 0], [np.uint64(2**63 + 1), np.int64(-1), 0]]
)
@pytest.mark.parametrize("kind", [list, lambda y: np.array(y, dtype=object)], ids=["list", "object array"])
def test_labels_that_would_become_others_beside_these_are_refused(y, kind):
    said = (
        r"y has the whole number (9007199254740993|9223372036854775809) at row \d, which the others make float64, and"
    )
    with pytest.raises(ValueError, match=said):
        as_table(np.eye(3), kind(y))


@pytest.mark.parametrize(
    ("y", "dtype"),
    [
        ([2**53, LARGE, 2**63 - 1], np.int64),
        ([2**63, 2**63 + 1, 2**64 - 1], np.uint64),
        ([float(2**53), 0.5, 1e300], np.float64),
        ([2**53, 0.5, 2**60], np.float64),
        (np.array([LARGE, 1, 2], dtype=object), np.int64),
        ([-(2**63), 0, 1], np.int64),
    ],
)
def test_large_labels_that_a_dtype_holds_stay_as_they_are(y, dtype):
    labels = as_table(np.eye(3), y).labels
    assert (labels.dtype, labels.tolist()) == (dtype, [*y])


def test_features_beyond_float_are_refused_in_words():
    for large in (10**400, 10**5000):
        with pytest.raises(TypeError, match=r"X must hold real numbers, got .* at row 1, column 0: encode it as one"):
            as_features([[1.5], [large]])
