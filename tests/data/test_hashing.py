"""Columns hashed into fewer, in sparse matrices, in text, in models and on the command line."""

import json

import numpy as np
import pytest
import scipy.sparse

from fastadagrad import cli
from fastadagrad.data import memory_at_hand
from fastadagrad.data.columns import checked_bits, hashed
from fastadagrad.data.loading import load
from fastadagrad.data.svmlight import parse
from fastadagrad.data.tables import CSR, as_features, as_table
from fastadagrad.linear import LinearModel

BITS = 10


def places(columns, bits):
    """The finaliser of MurmurHash3, in NumPy."""
    h = np.array(columns, np.uint64)
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        h = (h ^ (h >> np.uint64(33))) * np.uint64(factor)
    return ((h ^ (h >> np.uint64(33))) >> np.uint64(64 - bits)).astype(np.int64)


def dense_of(data, columns, starts, bits):
    out = np.zeros((len(starts) - 1, 2**bits))
    rows = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    np.add.at(out, (rows, places(columns, bits)), np.asarray(data, np.float64))
    return out


def dense(csr):
    return scipy.sparse.csr_array(csr[:3], shape=csr.shape).toarray()


def wide(rows=300, seed=0, most=2**62, dtype=np.float64):
    """Each row has 20 columns of 3,000 anywhere below `most`."""
    rng = np.random.default_rng(seed)
    columns = np.unique(np.random.default_rng(1).integers(0, most, 3000))
    chosen = np.stack([np.sort(rng.choice(columns, 20, replace=False)) for _ in range(rows)])
    return CSR(rng.normal(size=rows * 20).astype(dtype), chosen.ravel(), np.arange(rows + 1) * 20, (rows, most))


def text_of(csr, labels, base):
    lines = []
    for row, label in enumerate(labels):
        at = slice(csr.indptr[row], csr.indptr[row + 1])
        values = zip(csr.indices[at].tolist(), csr.data[at].tolist(), strict=True)
        lines.append(f"{label} " + " ".join(f"{column + base}:{value!r}" for column, value in values))
    return "\n".join(lines) + "\n"


def test_known_hashes():
    """Of the finaliser's own definition: numbers that any implementation of it gives."""
    whole = places([0, 1, 2, 2**63], 31) >> 0
    assert whole[0] == 0
    assert whole[1] == 0xB456BCFC34C2CB2C >> 33
    columns = np.array([0, 1, 2, 2**31 - 1, 2**40, 2**63, 2**64 - 1], np.uint64)
    for bits in (1, 7, 20, 31):
        _, found, _ = hashed(np.ones(7), columns, np.arange(8), bits)
        np.testing.assert_array_equal(found, places(columns, bits))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("most", [2**31, 2**62])
def test_a_matrix_is_hashed_as_in_numpy(dtype, most):
    X = wide(dtype=dtype, most=most)
    found = as_features(X, dtype=None, hash_bits=BITS)
    assert (found.shape, found.data.dtype, found.indices.dtype) == ((300, 2**BITS), dtype, np.int32)
    np.testing.assert_allclose(dense(found), dense_of(*X[:3], BITS), rtol=1e-6, atol=1e-6)
    for row in range(300):
        assert np.all(np.diff(found.indices[found.indptr[row] : found.indptr[row + 1]]) > 0)
    assert found.data.size < X.data.size  # some fell together


def test_duplicates_of_a_column_and_rows_without_any():
    X = CSR(np.array([1.0, 2.0, 4.0, 8.0]), np.array([5, 5, 10**12, 7]), np.array([0, 3, 3, 4]), (3, 10**12 + 1))
    np.testing.assert_array_equal(dense(as_features(X, hash_bits=4)), dense_of(*X[:3], 4))


def test_what_falls_together_may_be_too_much():
    X = CSR(np.full(2, 3e38, np.float32), np.array([5, 5]), np.array([0, 2]), (1, 6))
    with pytest.raises(ValueError, match="X has inf at row 0, column"):
        as_features(X, hash_bits=4)


@pytest.mark.parametrize("base", [0, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_text_is_hashed_as_the_matrix_that_it_spells(base, dtype, tmp_path):
    X, y = wide(rows=50), np.arange(50) % 2
    X.indices[0] = 0
    path = tmp_path / "wide.svm"
    path.write_text(text_of(X, y, base))
    table = load(path, dtype=dtype, hash_bits=BITS, zero_based=not base)
    assert (table.hash_bits, table.zero_based, table.features.shape) == (BITS, not base, (50, 2**BITS))
    expected = as_features(X._replace(data=X.data.astype(dtype)), dtype=dtype, hash_bits=BITS)
    for found, part in zip(table.features[:3], expected[:3], strict=True):
        np.testing.assert_array_equal(found, part)
    stored = tmp_path / "wide.npz"
    np.savez(stored, y=y, data=X.data, indices=X.indices, indptr=X.indptr, shape=np.array(X.shape))
    np.testing.assert_array_equal(load(stored, dtype=dtype, hash_bits=BITS).features.indices, expected.indices)


def test_the_largest_indices_of_text():
    text = b"1 3:1 9223372036854775808:2 9999999999999999999:4\n"
    found = parse(text, zero_based=True, hash_bits=20)
    np.testing.assert_array_equal(
        np.sort(found.indices), np.sort(places([3, 9223372036854775808, 9999999999999999999], 20))
    )
    with pytest.raises(ValueError, match="line 2: '10000000000000000000:1' has an index of more than 19 digits"):
        parse(b"1 1:1\n1 10000000000000000000:1\n", hash_bits=20)
    with pytest.raises(ValueError, match="line 1: index 3 occurs more than once"):
        parse(b"1 3:1 3:2\n", hash_bits=20)
    said = (
        r"line 2: '4000000000:1' has an index beyond int32 \(2147483647\): a weight .* take 128 GB; hash .* hash_bits"
    )
    with pytest.raises(ValueError, match=said):
        parse(b"1 1:1\n1 4000000000:1\n")


def test_too_many_columns_are_named_with_what_to_do():
    X = wide(most=10**10)
    said = rf"got shape \(300, 10000000000\), the largest of those in use {X.indices.max()}: a weight for each"
    with pytest.raises(ValueError, match=said):
        as_features(X)
    with pytest.raises(ValueError, match=r"a weight for each column would take 320 GB; hash .* \(fit --hash-bits 24\)"):
        LinearModel().fit(X, np.arange(300) % 2)


def trained(**options):
    X = wide()
    weights = np.random.default_rng(2).normal(size=2**BITS)
    y = np.where(dense_of(*X[:3], BITS) @ weights > 0, "yes", "no")
    return LinearModel(hash_bits=BITS, **options).fit(X, y, valid=0.2), X, y


@pytest.mark.parametrize("options", [{}, {"l1": 1e-3}, {"batch_size": 8}, {"learning_rate": "auto"}])
def test_a_model_is_that_of_the_hashed_matrix(options):
    model, X, y = trained(**options)
    same = LinearModel(**options).fit(as_features(X, dtype=None, hash_bits=BITS), y, valid=0.2)
    np.testing.assert_array_equal(model.coef_, same.coef_)
    assert model.coef_.shape == (2**BITS,)
    assert model.history == same.history
    assert repr(model).startswith("LinearModel('auto', ")
    assert "hash_bits=10" in repr(model)


def test_a_model_hashes_what_it_predicts(tmp_path):
    model, X, y = trained()
    model.save(tmp_path / "model")
    loaded = LinearModel.load(tmp_path / "model")
    assert loaded.hash_bits == BITS
    unseen = CSR(np.ones(3), np.array([1, 2**62 + 5, 2**63 - 2]), np.array([0, 2, 3]), (2, 2**63 - 1))
    for examples in (X, unseen):
        expected = dense_of(*examples[:3], BITS) @ model.coef_ + model.intercept_
        np.testing.assert_allclose(loaded.decision_function(examples), expected, rtol=1e-9, atol=1e-9)
    assert loaded.evaluate(X, y) == model.evaluate(X, y)
    assert loaded.evaluate(as_table(X, y, dtype=None, hash_bits=BITS)) == model.evaluate(X, y)
    again = LinearModel(hash_bits=BITS, max_epochs=1).fit(X, y, valid=(unseen, ["yes", "no"]))
    assert "valid_loss" in again.history[0]


def test_refusals():
    X, y = wide(), np.arange(300) % 2
    for bits, error in ((0, ValueError), (32, ValueError), (2.0, TypeError), (True, TypeError), ("8", TypeError)):
        with pytest.raises(error, match="hash_bits must be"):
            LinearModel(hash_bits=bits)
        with pytest.raises(error, match="hash_bits must be"):
            as_features(X, hash_bits=bits)
    assert checked_bits(np.int64(31)) == 31
    with pytest.raises(ValueError, match="hash_bits is for a sparse X or svmlight text, and X is dense"):
        LinearModel(hash_bits=8).fit(np.eye(4), [0, 1, 0, 1])
    table = as_table(X, y, hash_bits=9)
    with pytest.raises(ValueError, match="loaded with hash_bits=9, but the model has hash_bits=10: give both"):
        LinearModel(hash_bits=10).fit(table)
    with pytest.raises(ValueError, match="loaded with hash_bits=9, but the model does not hash"):
        LinearModel().fit(table)
    with pytest.raises(ValueError, match="indices of X must be in"):
        as_features(X._replace(shape=(300, 1000)), hash_bits=9)


def test_memory_is_checked_for_the_hashed_columns(monkeypatch):
    monkeypatch.setattr(memory_at_hand, "bytes_at_hand", lambda: 33 << BITS)
    monkeypatch.setattr(memory_at_hand, "LITTLE", 0)
    assert trained()[0].history
    with pytest.raises(ValueError, match="X has 2,048 columns"):
        LinearModel(hash_bits=BITS + 1).fit(wide(), np.arange(300) % 2)


def test_the_command_line(tmp_path, capsys):
    X, y = wide(rows=200), np.arange(200) % 2
    paths = [str(tmp_path / name) for name in ("train.svm", "new.svm", "model")]
    train, new, model = paths
    (tmp_path / "train.svm").write_text(text_of(X, y, 1))
    (tmp_path / "new.svm").write_text(text_of(wide(rows=30, seed=5, most=2**63 - 1), y[:30], 1))
    options = ["--zero-based", "false", "--quiet"]
    arguments = ["fit", train, "--hash-bits", str(BITS), "--test", new, "--valid", new, "--model", model, *options]
    assert cli.main([*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["features"], report["examples"]) == (2**BITS, 200)
    assert cli.main(["predict", model, new]) == 0
    said = capsys.readouterr().out.split()
    unhashed = LinearModel.load(model).predict(CSR(*wide(rows=30, seed=5, most=2**63 - 1)))
    assert said == [str(int(label)) for label in unhashed]
    assert cli.main(["fit", train, *options]) == cli.FAILED
    assert "--hash-bits 24" in capsys.readouterr().err
    assert cli.main(["fit", train, "--hash-bits", "9", "--features", "100", *options]) == cli.FAILED
    assert "--features must be left out with --hash-bits 9" in capsys.readouterr().err
