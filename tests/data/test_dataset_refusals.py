"""What a Dataset refuses, and with which words."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from batches import (
    epoch,
)

from fastadagrad.data.dataset import Dataset


class TestRefusals:
    @pytest.mark.parametrize(
        ("inputs", "error", "message"),
        [
            (3, TypeError, "inputs: expected arrays, a callable or batches, got int 3"),
            ("text", TypeError, "inputs: expected arrays"),
            (Dataset(np.zeros(3)), TypeError, "inputs: expected arrays"),
            ([1, 2, 3], TypeError, r"inputs\[0\]: expected an array .*, got int 1"),
            ([1.0, np.zeros(2)], TypeError, r"inputs\[0\]"),
            ([np.zeros(2), [0, 1]], TypeError, r"inputs\[1\]: .* got list \[0, 1\]"),
            ([[1, 2], [3, 4]], TypeError, r"inputs\[0\]: .* got list"),
            ([(np.zeros(2),), (1, 2)], TypeError, r"inputs\[0\]"),
            ({"x": [1, 2]}, TypeError, r"inputs\['x'\]"),
            ((i for i in range(3)), TypeError, "read only once; pass a list, or a callable"),
            (iter([np.zeros(2)]), TypeError, "read only once"),
            (np.array(1.0), TypeError, r"got ndarray of shape \(\)"),
            ([], ValueError, "inputs: expected at least one array, got an empty list"),
            ({}, ValueError, "got an empty dict"),
            (np.zeros((0, 3)), ValueError, "at least one sample, got length 0 along axis 0"),
            ([np.zeros(3), np.zeros(4)], ValueError, r"equal lengths along axis 0, got \{0: 3, 1: 4\}"),
            ({"x": np.zeros(3), "y": np.zeros(2)}, ValueError, r"got \{'x': 3, 'y': 2\}"),
        ],
    )
    def test_inputs(self, inputs: Any, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            Dataset(inputs)

    def test_numbers_in_an_iterable_are_refused_when_they_come(self) -> None:
        with pytest.raises(TypeError, match=r"inputs: expected batches: .* got int 0"):
            epoch(Dataset(range(3)))

    @pytest.mark.parametrize(
        ("parameters", "error", "message"),
        [
            ({"batch_size": 2.0}, TypeError, "batch_size must be a whole number, not 2.0"),
            ({"batch_size": True}, TypeError, "batch_size must be a whole number, not True"),
            ({"batch_size": None}, TypeError, "batch_size must be a whole number, not None"),
            ({"iteration_size": "3"}, TypeError, "iteration_size must be a whole number of at least 1, not '3'"),
            ({"iteration_size": 0}, ValueError, "iteration_size must be a whole number of at least 1, not 0"),
            ({"iteration_size": -2}, ValueError, "iteration_size must be a whole number of at least 1, not -2"),
            ({"axis": 1.5}, TypeError, "axis must be a whole number, not 1.5"),
            ({"axis": 2}, ValueError, r"axis: expected an axis of inputs\[0\], ndarray of shape \(4, 2\), got 2"),
            ({"axis": -3}, ValueError, "axis: expected an axis"),
            ({"shuffle": "sample"}, ValueError, 'shuffle: expected True, False or "batches", got str'),
            ({"shuffle": None}, ValueError, "shuffle: expected"),
            ({"shuffle": 1}, ValueError, "shuffle: expected"),
            ({"shuffle": np.zeros(2)}, ValueError, "shuffle: expected"),
            ({"rng": "seed"}, TypeError, "rng: expected None, a seed or a Generator, got str 'seed'"),
            ({"rng": 1.5}, TypeError, "rng: expected"),
            ({"rng": True}, TypeError, "rng: expected"),
            ({"rng": -1}, ValueError, "rng: expected"),
        ],
    )
    def test_parameters(self, parameters: dict[str, Any], error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            Dataset(np.zeros((4, 2)), **parameters)

    def test_numpy_scalars_are_welcome(self) -> None:
        parameters: Any = (np.int32(3), np.int64(2), np.int8(0), None, np.bool(False))
        dataset = Dataset(np.arange(4), None, *parameters)
        assert epoch(dataset) == [[0, 1, 2], [3]]
        json.dumps(dataset.state())
