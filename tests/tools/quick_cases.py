"""The quick ones among the cases of tests that compile kernels for each case; the others run with the slow tests.

A test is here by its name, with the values of its parameters that run quickly. Each other value is the same code of the
drivers with another formula, and has its own quick tests elsewhere.
"""

from __future__ import annotations

from typing import Any

METHODS = ["ADAGRAD", "adagrad", "Adam", "adam", "FTRL", "ftrl", "SGD", "sgd"]
BEHIND = ["momentum", "elastic net", "momentum and decay"]  # options under which rows lag behind

QUICK: dict[str, dict[str, list[Any]]] = {
    "test_scipy_sparse": {"option": ["plain", "momentum"]},
    "test_a_rate_set_before_each_step_is_a_schedule": {"name": METHODS},
    "test_a_rate_set_is_a_rate_changed_as_others_are": {"name": METHODS},
    "test_float64_is_the_dense_run_up_to_rounding": {"option": BEHIND},
    "test_float32_is_as_near_as_the_float32_dense_run": {"option": BEHIND},
    "test_touched_leaves_the_others_as_they_are": {"option": BEHIND},
    "test_a_rule_has_what_one_of_a_users_own_must_have": {"name": METHODS},
    "test_bad_rows_change_nothing": {"hyper": [{}]},
    "test_a_sum_that_overflows_is_skipped_or_ignored_when_asked": {"threads": [1]},
    "test_learning_rate_found": {"name": ["iris", "diabetes"]},
    "test_groups": {"name": METHODS},
    "test_rows": {"name": METHODS},
    "test_in_nopython_loops": {"name": METHODS},
    "test_every_method_trains_with_the_bits_of_a_linear_model": {"method": METHODS},
    "test_has_the_bits_of_the_formula": {"name": METHODS},
    "test_several_outputs": {"name": ["SGD", "FTRL"]},
    "test_in_double_precision_and_without_an_intercept": {"name": ["SGD"]},
    "test_bytes_for_each_feature": {"dtype": ["float32"]},
    "test_what_the_encoding_of_standard_output_lacks": {"encoding": ["ascii:surrogateescape"]},
    "test_the_order_of_examples_is_of_no_account_where_some_are_drawn": {"form": ["csr"]},
    "test_many_tensors": {"option": ["plain", "momentum", "tensor, nesterov"]},
    "test_hyperparameters_may_change_on_the_way": {"accumulator": ["element"]},
    "test_importance_has_the_bits_of_the_formula": {"kind": ["logistic"]},
    "test_lazy_is_the_dense_method": {"kind": ["logistic"]},
    "test_progress": {"problem": ["quadratic", "rosenbrock"]},
    "test_bits": {"name": [*METHODS, "DoG"]},
    "test_after_a_reset_it_is_as_before_the_first_step": {"name": METHODS},
    "test_frozen_when_it_was_saved": {"name": METHODS},
    "test_large": {"option": ["plain"]},
    "test_one_tensor": {"option": ["plain", "momentum"]},
}


def is_quick(test: str, params: dict[str, Any]) -> bool:
    """Whether a case of a test is to run with the quick ones."""
    return all(_plain(params[name]) in quick for name, quick in QUICK.get(test, {}).items() if name in params)


def _plain(value: Any) -> Any:
    return value.__name__ if isinstance(value, type) else value
