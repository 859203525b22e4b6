import numpy as np
import pytest

from fastadagrad.linear import LinearModel
from fastadagrad.targets import choose

Z = np.random.default_rng(0).normal(size=200)


@pytest.mark.parametrize("factor", [1e300, 1e-300, 1e155, 1e308])
def test_labels_of_no_finite_variance_are_refused(factor):
    with pytest.raises(ValueError, match=r"y has labels from .* whose variance float64 cannot hold"):
        LinearModel("squared").fit(Z[:, None], np.clip(Z, -1.5, 1.5) * factor)


@pytest.mark.parametrize("factor", [1e140, 1e-140])
def test_labels_of_other_sizes_are_standardised(factor):
    found = choose("squared", Z * factor).standardised(Z * factor)
    assert found.centre == pytest.approx(Z.mean() * factor)
    assert found.spread == pytest.approx(Z.std() * factor)
    assert LinearModel("squared").fit(Z[:, None], Z * factor).evaluate(Z[:, None], Z * factor)["r2"] > 0.99


@pytest.mark.parametrize("value", [7.1, -0.1, 1e300])
def test_labels_that_are_all_the_same_are_only_centred(value):
    labels = np.full(1001, value)
    found = choose("squared", labels).standardised(labels)
    assert (found.centre, found.spread) == (value, 1.0)
    assert not found.encode(labels, np.float64).any()


def test_a_label_beyond_the_dtype_is_named():
    with pytest.raises(ValueError, match=r"y has 1e\+39 at row 1, which float32 cannot hold"):
        LinearModel("squared", scale="none").fit(Z[:3, None], [1.5, 1e39, 2.5])
