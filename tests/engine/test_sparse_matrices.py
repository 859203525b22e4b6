"""Gradients that are matrices of scipy.sparse: the bits of the dense step, and what is refused."""

import math

import numpy as np
import pytest
import scipy.sparse
from oracle import Oracle
from sparse import DTYPES, F4, I4, INDEX_DTYPES, OPTIONS, assert_equal_bits, snapshot, spread

import fastadagrad as fa

FORMATS = ["csr_matrix", "csr_array", "csc_matrix", "csc_array", "coo_matrix", "coo_array"]


def scrambled(kind, rng, shape, dtype, index_dtype=I4):
    """Duplicates, explicit zeros and indices in no order; with it the dense gradient that it stands for."""
    n = rng.integers(0, 2 * math.prod(shape) + 1)
    row, column = rng.integers(shape[0], size=n), rng.integers(shape[1], size=n)
    data = spread(rng, n, dtype)
    make = getattr(scipy.sparse, kind)
    if kind.startswith("coo"):
        sparse = make((data, (row.astype(index_dtype), column.astype(index_dtype))), shape=shape)
    else:
        major, minor, size = (row, column, shape[0]) if kind.startswith("csr") else (column, row, shape[1])
        order = np.argsort(major, kind="stable")
        row, column, data = row[order], column[order], data[order]
        starts = np.searchsorted(major[order], np.arange(size + 1)).astype(index_dtype)
        sparse = make((data, minor[order].astype(index_dtype), starts), shape=shape)
    assert sparse.nnz == n
    g = np.zeros(shape, dtype)
    np.add.at(g, (row, column), data)
    return sparse, g


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("option", OPTIONS)
def test_scipy_sparse(option, dtype, kind, threads):
    hyper = {"learning_rate": 0.1, **OPTIONS[option]}
    rng = np.random.default_rng(11)
    params = [rng.standard_normal(shape).astype(dtype) for shape in ((1, 1), (30, 4), (7, 40), (5, 5))]
    oracle = Oracle(params, **hyper)
    opt = fa.ADAGRAD(params=params, threads=threads, **hyper)
    for t in range(4):
        pairs = [scrambled(kind, rng, p.shape, dtype, INDEX_DTYPES[t % 2]) for p in params]
        given = [sparse for sparse, _ in pairs]
        before = [
            [(name, np.array(a).tobytes()) for name, a in sorted(vars(x).items()) if a is not None] for x in given
        ]
        opt.step(given)
        after = [[(name, np.array(a).tobytes()) for name, a in sorted(vars(x).items()) if a is not None] for x in given]
        assert [dict(x) for x in before] == [
            {k: v for k, v in x if k in dict(y)} for x, y in zip(after, before, strict=True)
        ]
        oracle.step([g for _, g in pairs])
        assert_equal_bits(opt, oracle, t)


@pytest.mark.parametrize("kind", FORMATS)
def test_an_empty_scipy_matrix(kind):
    w = np.ones((3, 4))
    opt = fa.ADAGRAD(params=w)
    opt.step(getattr(scipy.sparse, kind)((3, 4)))
    assert (w == 1).all()
    assert opt.steps == 1


def corrupted(kind, where, value):
    a = getattr(scipy.sparse, kind)(np.eye(3, 4))
    getattr(a, where)[-1] = value
    return a


def coo_with(row, column):
    a = scipy.sparse.coo_array(np.eye(3, 4))
    a.coords = (np.array(row, I4), np.array(column, I4))
    return a


BAD_SCIPY = {
    "another shape": (lambda: scipy.sparse.csr_array((3, 5)), ValueError),
    "transposed": (lambda: scipy.sparse.csr_array((4, 3)), ValueError),
    "transposed csc": (lambda: scipy.sparse.csc_array((4, 3)), ValueError),
    "transposed coo": (lambda: scipy.sparse.coo_array((4, 3)), ValueError),
    "float32": (lambda: scipy.sparse.csr_array(np.eye(3, 4, dtype=F4)), TypeError),
    "int": (lambda: scipy.sparse.coo_array(np.eye(3, 4, dtype=int)), TypeError),
    "bool": (lambda: scipy.sparse.csc_array(np.eye(3, 4, dtype=bool)), TypeError),
    "complex": (lambda: scipy.sparse.csr_matrix(np.eye(3, 4, dtype=complex)), TypeError),
    "NaN": (lambda: scipy.sparse.csr_array(np.eye(3, 4) * np.nan), FloatingPointError),
    "column too large": (lambda: corrupted("csr_array", "indices", 4), (IndexError, ValueError)),
    "column negative": (lambda: corrupted("csr_array", "indices", -1), (IndexError, ValueError)),
    "row too large": (lambda: corrupted("csc_array", "indices", 3), (IndexError, ValueError)),
    "row negative": (lambda: corrupted("csc_array", "indices", -1), (IndexError, ValueError)),
    "starts beyond the data": (lambda: corrupted("csr_array", "indptr", 10**6), (IndexError, ValueError)),
    "starts below 0": (lambda: corrupted("csr_array", "indptr", -5), (IndexError, ValueError)),
    "coo row too large": (lambda: coo_with([0, 1, 3], [0, 1, 2]), (IndexError, ValueError)),
    "coo column too large": (lambda: coo_with([0, 1, 2], [0, 1, 4]), (IndexError, ValueError)),
    "coo column negative": (lambda: coo_with([0, 1, 2], [0, 1, -1]), (IndexError, ValueError)),
    "lists of lists": (lambda: scipy.sparse.lil_array(np.eye(3, 4)), (TypeError, ValueError)),
    "dict of keys": (lambda: scipy.sparse.dok_array(np.eye(3, 4)), (TypeError, ValueError)),
    "diagonals": (lambda: scipy.sparse.dia_array(np.eye(3, 4)), (TypeError, ValueError)),
    "blocks": (lambda: scipy.sparse.bsr_array(np.eye(3, 4)), (TypeError, ValueError)),
}


@pytest.mark.parametrize("case", BAD_SCIPY)
def test_a_bad_scipy_matrix_changes_nothing(case):
    make, error = BAD_SCIPY[case]
    opt = fa.ADAGRAD(params={"other": np.ones(2), "emb": np.ones((3, 4))})
    before = snapshot(opt)
    with pytest.raises(error, match="'emb'"):
        opt.step({"other": np.ones(2), "emb": make()})
    assert snapshot(opt) == before


@pytest.mark.parametrize("shape", [(), (12,), (3, 4, 1), (3, 2, 2)], ids=str)
def test_scipy_matrices_are_for_2d_parameters(shape):
    opt = fa.ADAGRAD(params={"emb": np.ones(shape)})
    with pytest.raises(ValueError, match="'emb'"):
        opt.step({"emb": scipy.sparse.csr_array(np.eye(3, 4))})
