"""Tables from files and names against NumPy, SciPy and scikit-learn."""

import gzip
import io
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from file_bytes import COMPRESS, DENSE, TEXT, npy_bytes, npz_bytes, to_dense
from hypothesis import given, settings
from hypothesis import strategies as st
from places import A9A

from fastadagrad.data.loading import BUILT_IN, CSR, load


def saved(path: Path, **arrays) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("suffix", ["", ".svm", ".txt", ".gz", ".svm.GZ", ".bz2", ".xz"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_svmlight_files(tmp_path, suffix, dtype):
    path = tmp_path / f"data{suffix}"
    path.write_bytes(COMPRESS.get(path.suffix.lower(), bytes)(TEXT))
    for source in (path, str(path)):
        table = load(source, dtype=dtype)
        assert isinstance(table.features, CSR)
        assert table.features.data.dtype == dtype
        np.testing.assert_array_equal(to_dense(table.features), np.array(DENSE, dtype), strict=True)
        np.testing.assert_array_equal(table.labels, np.array([1.0, -1.0, 0.0]), strict=True)
        assert (table.name, table.feature_names) == (path.name, None)


def test_without_a_dtype_nothing_is_rounded(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(b"1 1:0.1\n")
    assert load(path, dtype=None).features.data.tolist() == [0.1]
    kept = {kind: load(saved(tmp_path / f"{kind}.npz", X=np.eye(2, dtype=kind), y=[0, 1]), dtype=None) for kind in "fd"}
    assert {kind: table.features.dtype.char for kind, table in kept.items()} == {"f": "f", "d": "d"}


def test_where_columns_start_can_be_said(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(b"1 2:1\n")
    assert [load(path, zero_based=choice).features.shape[1] for choice in ("auto", True, False)] == [2, 3, 2]
    assert [load(path, zero_based=choice).zero_based for choice in ("auto", True, False)] == [False, True, False]
    assert load(path, n_features=9).zero_based is False
    path.write_bytes(b"1 0:1\n")
    assert load(path).zero_based is True
    path.write_bytes(b"1\n")
    assert load(path).zero_based is None
    assert load("iris").zero_based is None


def test_a_wider_table_is_widened_and_a_narrower_one_drops_columns_with_a_warning(tmp_path, caplog):
    path = tmp_path / "data"
    path.write_bytes(TEXT)
    with caplog.at_level(logging.WARNING, "fastadagrad"):
        same, wide = load(path, n_features=3), load(path, n_features=7, zero_based=False)
        assert not caplog.records
        narrow = load(path, n_features=1)
    np.testing.assert_array_equal(to_dense(same.features), np.float32(DENSE))
    np.testing.assert_array_equal(to_dense(wide.features), np.pad(np.float32(DENSE), ((0, 0), (0, 4))))
    np.testing.assert_array_equal(to_dense(narrow.features), np.float32(DENSE)[:, :1])
    assert "data has 3 columns, 1 were expected: its 2 entries" in caplog.text


@pytest.mark.parametrize(
    ("text", "width", "zero_based", "warned"),
    [
        (b"1 1:1 5:1", 5, "auto", False),  # a column 5 of 5: from 1
        (b"1 0:1 3:1", 5, "auto", False),
        (b"1 1:1 4:1", 5, "auto", True),
        (b"1 2:1 7:1", 5, "auto", True),
        (b"1 1:1 4:1", None, "auto", False),  # goes with nothing
        (b"1 1:1 4:1", 5, False, False),
        (b"1 1:1 4:1", 5, True, False),
        (b"1\n", 5, "auto", False),
    ],
)
def test_a_guess_where_columns_begin_is_told(tmp_path, caplog, text, width, zero_based, warned):
    (tmp_path / "data").write_bytes(text)
    with caplog.at_level(logging.WARNING, "fastadagrad"):
        load(tmp_path / "data", n_features=width, zero_based=zero_based)
    said = "data is taken to have columns that count from 1, as it has no column 0: if that is wrong"
    assert (said in caplog.text) == warned
    assert ("--zero-based" in caplog.text) == warned


@pytest.mark.parametrize("width", [0, -1])
def test_width_must_be_positive(width):
    with pytest.raises(ValueError, match=f"n_features must be a whole number of at least 1, not {width}"):
        load("iris", n_features=width)


def test_dense_features_have_the_width_asked_for():
    assert load("iris", n_features=4).features.shape == (150, 4)
    with pytest.raises(ValueError, match="iris must have 5 features, got 4"):
        load("iris", n_features=5)


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_data_sets(name):
    datasets = pytest.importorskip("sklearn.datasets")
    bunch = getattr(datasets, f"load_{name}")()
    table = load(name)
    np.testing.assert_array_equal(table.features, bunch.data.astype(np.float32), strict=True)
    np.testing.assert_array_equal(table.labels, bunch.target, strict=True)
    assert table.features.flags.c_contiguous
    assert table.name == name
    assert table.feature_names == tuple(bunch.feature_names)


def test_several_targets_are_refused():
    with pytest.raises(ValueError, match="linnerud has three targets"):
        load("linnerud")


def test_a_missing_extra_is_named():
    script = (
        "import sys; sys.modules['sklearn'] = None\n"
        "from fastadagrad.data.loading import load\n"
        "try: load('iris')\n"
        "except RuntimeError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert 'pip install "fastadagrad[sklearn]"' in said


def test_importing_sources_imports_no_optional_package():
    script = "import sys, fastadagrad.data.loading; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert "numpy" in modules.split()
    assert not {"sklearn", "pandas", "scipy.sparse"} & set(modules.split())


@pytest.mark.parametrize(
    ("source", "said", "unsaid"),
    [
        ("irsi", r"built-in data set .*digits, iris, wine.*did you mean 'iris'\?", "zzz"),
        ("Breast-Cancer", "did you mean 'breast_cancer'", "zzz"),
        ("qqqqq", "built-in data set", "did you mean"),
        ("iris.svm", "No such file", "built-in"),
        ("folder/iris", "No such file", "built-in"),
    ],
)
def test_a_missing_file_lists_the_names_it_may_have_meant(source, said, unsaid, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=said) as error:
        load(source)
    assert unsaid not in str(error.value)
    assert error.value.filename == str(Path(source))


def test_a_file_with_a_built_in_name_is_read_by_its_path(tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    Path("iris").write_bytes(TEXT)
    assert load("iris").features.shape == (150, 4)
    assert load("./iris").features.shape == load(Path("iris")).features.shape == (3, 3)


@pytest.mark.parametrize("source", [None, 3, np.zeros((2, 2)), b"iris"])
def test_other_sources_are_refused(source):
    with pytest.raises(TypeError, match="source must be a path or a name"):
        load(source)


@pytest.mark.parametrize("suffix", list(COMPRESS))
def test_every_truncation_of_a_compressed_file_is_refused(tmp_path, suffix):
    path = tmp_path / f"data{suffix}"
    content = COMPRESS[suffix](TEXT)
    for size in range(1, len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"data\..*: truncated, damaged or not"):
            load(path)


@pytest.mark.parametrize("suffix", list(COMPRESS))
def test_plain_text_under_a_compressed_name_is_refused(tmp_path, suffix):
    path = tmp_path / f"data{suffix}"
    path.write_bytes(TEXT)
    with pytest.raises(ValueError, match="truncated, damaged or not"):
        load(path)


@pytest.mark.parametrize("text", [b"", b"\n\n", b"# nothing\n"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_an_empty_file_is_refused(tmp_path, text, suffix):
    path = tmp_path / f"data{suffix}"
    path.write_bytes(COMPRESS.get(suffix, bytes)(text))
    with pytest.raises(ValueError, match=r"data.* has no rows"):
        load(path)


def test_a_malformed_line_is_named_with_its_file(tmp_path):
    path = tmp_path / "data.gz"
    path.write_bytes(gzip.compress(b"1 1:1\n2 x:1\n"))
    with pytest.raises(ValueError, match=r"data\.gz: line 2: 'x:1'"):
        load(path)


def test_a_folder_is_an_os_error(tmp_path):
    with pytest.raises(IsADirectoryError):
        load(tmp_path)


def test_dense_npz(tmp_path):
    X, y = np.arange(6).reshape(2, 3, order="F"), np.array(["no", "yes"])
    path = saved(tmp_path / "a.npz", X=X, y=y, z=np.arange(2), feature_names=np.array(["a", "b", "c"]))
    table = load(path)
    np.testing.assert_array_equal(table.features, X.astype(np.float32), strict=True)
    assert table.features.flags.c_contiguous
    assert table.labels.tolist() == ["no", "yes"]
    assert (table.name, table.feature_names) == ("a.npz", ("a", "b", "c"))
    assert load(path, target="z").labels.tolist() == [0, 1]


@pytest.mark.parametrize("prefix", ["X_", ""])
@pytest.mark.parametrize("kind", ["csr_matrix", "csr_array"])
def test_sparse_npz_is_sorted_and_summed(tmp_path, prefix, kind):
    sparse = pytest.importorskip("scipy.sparse")
    parts = [1.0, 2.0, 4.0, 8.0], [2, 0, 2, 1], [0, 3, 3, 4]
    matrix = getattr(sparse, kind)(parts, shape=(3, 5))
    if prefix:
        arrays = {f"X_{key}": getattr(matrix, key) for key in ("data", "indices", "indptr", "shape")}
    else:
        file = io.BytesIO()
        sparse.save_npz(file, matrix)
        file.seek(0)
        arrays = dict(np.load(file))
    table = load(saved(tmp_path / "a.npz", y=np.arange(3), **arrays))
    assert table.features.data.tolist() == [2.0, 5.0, 8.0]
    assert table.features.indices.tolist() == [0, 2, 1]
    assert table.features.indptr.tolist() == [0, 2, 2, 3]
    assert table.features.shape == (3, 5)


CSR_PARTS = {"X_data": [1.0], "X_indices": [0], "X_indptr": [0, 1], "X_shape": [1, 2]}


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"X": np.eye(2)}, "has no labels 'y'.*target=.*X"),
        ({"y": np.arange(2), "features": np.eye(2)}, "no X, and no CSR matrix .* in features, y"),
        ({"X": np.eye(2), "y": np.arange(3)}, "2 rows of X and 3 labels"),
        ({"X": np.eye(2) * np.nan, "y": np.arange(2)}, "X has nan at row 0, column 0"),
        ({"X": np.array([{}, []], object), "y": np.arange(2)}, "not a sound .npz"),
        ({"X": np.eye(2), "y": np.arange(2), "feature_names": ["a"]}, "feature_names must have one name"),
        ({"X": np.zeros((0, 2)), "y": np.arange(0)}, "no rows"),
        ({**CSR_PARTS, "y": [1], "X_indices": [2]}, r"indices of X must be in \[0, 2\), got 2 to 2"),
        ({**CSR_PARTS, "y": [1], "X_indices": [-1]}, "indices of X"),
        ({**CSR_PARTS, "y": [1], "X_indptr": [0, 2]}, "indptr of X ends at 2"),
        ({**CSR_PARTS, "y": [1], "X_indptr": [1, 1]}, "indptr of X must rise from 0"),
        ({**CSR_PARTS, "y": [1], "X_indptr": [0]}, "indptr of X must rise from 0"),
        ({**CSR_PARTS, "y": [1], "X_shape": [1]}, "two axes"),
        ({**CSR_PARTS, "y": [1], "X_shape": [1, 2**40]}, "columns"),
        (
            {"data": [1.0], "indices": [0], "indptr": [0, 1], "shape": [1, 1], "format": b"csc", "y": [1]},
            "format must be csr, got b'csc'",
        ),
    ],
)
def test_npz_errors_name_the_file(tmp_path, arrays, said):
    with pytest.raises(ValueError, match=r"a\.npz.*" + said):
        load(saved(tmp_path / "a.npz", **arrays))


def test_npz_of_text_is_a_type_error(tmp_path):
    with pytest.raises(TypeError, match=r"a\.npz: X must hold real numbers"):
        load(saved(tmp_path / "a.npz", X=np.array([["a"]]), y=[1]))


def test_target_is_for_npz_files(tmp_path):
    for source in ("iris", tmp_path / "data.svm"):
        with pytest.raises(ValueError, match=r"target names an array of a \.npz file"):
            load(source, target="label")


@pytest.mark.parametrize("content", [b"", b"PK", b"\x93NUMPY", b"PK\x03\x04" + bytes(40), TEXT])
def test_what_is_no_npz_is_refused(tmp_path, content):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npz is not a sound \.npz"):
        load(path)


def test_examples_without_labels(tmp_path, caplog):
    path = tmp_path / "data"
    path.write_bytes(b"# c\n1:0.5 3:2  # first\n\n  2:1e-3 1:4\nqid:3 3:1\n")
    with pytest.raises(ValueError, match=r"line 2: '1:0\.5' stands where the label should"):
        load(path)
    with caplog.at_level(logging.WARNING, "fastadagrad"):
        table = load(path, labelled=False)
    assert "blank lines are taken for no examples" in caplog.text
    np.testing.assert_array_equal(to_dense(table.features), np.float32([[0.5, 0, 2], [4, 1e-3, 0], [0, 0, 1]]))
    np.testing.assert_array_equal(table.labels, np.full(3, np.nan))
    caplog.clear()
    path.write_bytes(TEXT)
    assert load(path, labelled=False).labels.tolist() == [1, -1, 0]
    path.write_bytes(b"1:1\n1:2\n\n\n")
    load(path, labelled=False)
    assert not caplog.records
    for text, said in ((b"1:1\n1 1:1\n", "line 2: '1' is not of the form"), (b"1 1:1\n1:1\n", "line 2: '1:1' stands")):
        path.write_bytes(text)
        with pytest.raises(ValueError, match=said):
            load(path, labelled=False)


def test_arrays_without_labels(tmp_path):
    X = np.arange(6.0).reshape(2, 3)
    for name, content in (("a.npz", npz_bytes(X=X)), ("b", npz_bytes(X=X)), ("c.npy", npy_bytes(X))):
        (tmp_path / name).write_bytes(content)
        table = load(tmp_path / name, labelled=False)
        np.testing.assert_array_equal(table.features, X)
        assert np.isnan(table.labels).all()
        with pytest.raises(ValueError, match=rf"{name}"):
            load(tmp_path / name)
    with pytest.raises(ValueError, match="has no labels 'label'"):
        load(tmp_path / "a.npz", target="label", labelled=False)


@pytest.mark.parametrize("content", [TEXT, gzip.compress(TEXT), b"\xef\xbb\xbf" + TEXT], ids=["text", "gzip", "marked"])
def test_standard_input(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))
    table = load("-")
    np.testing.assert_array_equal(to_dense(table.features), np.float32(DENSE))
    assert table.name == "standard input"


def test_arrays_from_standard_input(monkeypatch):
    content = npz_bytes(X=np.eye(2), y=[0, 1], z=[2, 3])
    for target, labels in ((None, [0, 1]), ("z", [2, 3])):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))
        assert load("-", target=target).labels.tolist() == labels
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(b"1 x:1\n"))))
    with pytest.raises(ValueError, match="standard input: line 1: 'x:1'"):
        load("-")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ValueError, match="standard input is closed"):
        load("-")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes in folders")
@pytest.mark.parametrize(
    "content", [TEXT, gzip.compress(TEXT), npz_bytes(X=np.float32(DENSE), y=[1, -1, 0])], ids=["text", "gzip", "npz"]
)
def test_a_pipe_can_be_read_from(tmp_path, content):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
    writer.start()
    table = load(tmp_path / "pipe")
    writer.join()
    features = to_dense(table.features) if isinstance(table.features, CSR) else table.features
    np.testing.assert_array_equal(features, np.float32(DENSE))


def test_labels_and_names_of_bytes_are_text(tmp_path):
    path = saved(tmp_path / "a.npz", X=np.eye(2), y=np.array([b"spam", "ça".encode()]), feature_names=[b"a", b"b"])
    table = load(path)
    assert table.labels.tolist() == ["spam", "ça"]
    assert table.feature_names == ("a", "b")


def test_npy_under_the_name_npz_is_refused(tmp_path):
    with open(tmp_path / "a.npz", "wb") as file:
        np.save(file, np.eye(3))
    with pytest.raises(ValueError, match=r"not a sound \.npz"):
        load(tmp_path / "a.npz")


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.data())
def test_a_damaged_npz_never_raises_anything_but_value_and_type_errors(tmp_path_factory, data):
    file = io.BytesIO()
    np.savez_compressed(file, X=np.arange(12.0).reshape(4, 3), y=np.arange(4))
    content = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("npz", numbered=True) / "a.npz"
    path.write_bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))])
    try:
        table = load(path)
    except (ValueError, TypeError):
        return
    assert table.features.shape[0] == table.labels.size


def test_a9a():
    path = A9A
    if not path.exists():
        pytest.skip("a9a.train.svm.gz is not in ../shared/data")
    table = load(path, n_features=123)
    assert table.features.shape == (32561, 123)
    assert table.features.data.size == 451592
    assert set(table.labels.tolist()) == {-1.0, 1.0}
    test = load(path.with_name("a9a.test.svm.gz"), n_features=123)
    assert test.features.shape == (16281, 123)


def test_a_whole_label_that_would_become_another_is_told_with_its_file(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text("9007199254740992 1:1\n9007199254740993 1:2\n")
    with pytest.raises(ValueError, match=r"ids\.txt: line 2: the label '9007199254740993' is a whole number"):
        load(path)


def test_large_labels_of_other_files_are_as_they_are(tmp_path):
    labels = np.array([2**53, 2**53 + 1, 2**63 - 1])
    np.savez(tmp_path / "ids.npz", X=np.eye(3), y=labels)
    assert load(tmp_path / "ids.npz").labels.tolist() == labels.tolist()


@pytest.mark.parametrize("labels", [["yes", "", "no"], [b"yes", b" ", b"no"]])
def test_a_blank_label_in_npz_is_missing(tmp_path, labels):
    np.savez(tmp_path / "d.npz", X=np.eye(3), y=np.array(labels))
    with pytest.raises(ValueError, match=r"d\.npz: y is missing at row 1: remove rows without a label"):
        load(tmp_path / "d.npz")
