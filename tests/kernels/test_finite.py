import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastadagrad.kernels.finite import all_finite


@settings(derandomize=True, deadline=None)
@given(st.data(), st.sampled_from([np.float32, np.float64]))
def test_all_finite(data, dtype):
    size = data.draw(st.integers(0, 70))
    values = np.where(np.arange(size) % 2, np.finfo(dtype).max, -np.finfo(dtype).tiny).astype(dtype)
    assert all_finite(values)
    if size:
        values[data.draw(st.integers(0, size - 1))] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
        assert not all_finite(values)
