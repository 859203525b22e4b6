"""The quick ones among the cases of tests that compile kernels for each case; the others run with the slow tests.

A test is in QUICK by its name, with the values of its parameters that run quickly. Each other value is the same code of
the drivers with another formula, and has its own quick tests elsewhere. Of a test in ONE_IN every so many cases are
quick, the first of its cases among them; none of those that stand for 0.
"""

from __future__ import annotations

from collections import Counter
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

ONE_IN: dict[str, int] = {
    "test_a_classifier_has_the_shapes_of_scikit_learn": 4,
    "test_a_comparison_is_not_replaced_by_a_part_of_it": 0,
    "test_a_fork_steps_on": 2,
    "test_a_formula_may_call_the_soft_threshold": 4,
    "test_a_further_dtype_is_a_storage_and_an_entry": 0,
    "test_a_module_that_is_reloaded": 0,
    "test_a_rate_is_that_of_a_fit_in_memory_where_trials_have_all_rows": 4,
    "test_a_run_that_ends_its_process_keeps_others_from_nothing": 0,
    "test_a_second_process_compiles_nothing": 3,
    "test_a_step_allocates_nothing_that_grows": 3,
    "test_a_table_larger_than_what_is_read_of_it": 4,
    "test_an_edit_of_what_a_kernel_calls_is_not_missed": 0,
    "test_any_order_of_events": 0,
    "test_bits_inside_a_compiled_loop": 2,
    "test_bytes_for_each_feature": 4,
    "test_bytes_of_dense_steps": 6,
    "test_constant_memory": 0,
    "test_dense": 3,
    "test_dense_gradients": 3,
    "test_dense_steps": 2,
    "test_dense_takes_the_dense_step": 6,
    "test_differ_by_no_more_than_the_page_says": 4,
    "test_digest": 4,
    "test_each_comparison_has_a_folder_if_none_is_named": 0,
    "test_each_run_is_that_of_a_copy": 5,
    "test_every_hyperparameter_is_an_option": 4,
    "test_every_lie_is_refused": 0,
    "test_every_method_that_measures": 0,
    "test_every_option": 8,
    "test_every_option_of_adagrad": 3,
    "test_every_run_ends_with_the_bits_of_one_that_is_not_killed": 0,
    "test_every_start_works_and_heals_the_folder": 0,
    "test_exact_is_that_of_the_host": 4,
    "test_example_runs_as_a_script": 3,
    "test_forked_processes": 0,
    "test_gradients_that_depend_on_rows_read": 10,
    "test_grid_search_over_processes": 0,
    "test_groups_and_mixed_dtypes": 0,
    "test_groups_are_caught_up_as_single_weights_are": 8,
    "test_halving": 0,
    "test_importance_has_the_bits_of_the_formula": 4,
    "test_is_the_dense_run": 3,
    "test_it_costs_less_than_two_steps_of_adagrad": 8,
    "test_kernels_cached_by_different_processes_are_not_mixed_up": 0,
    "test_l1_on_a9a_is_the_dense_proximal_run": 0,
    "test_large": 8,
    "test_lazy_is_the_dense_method": 4,
    "test_lazy_is_the_dense_method_for_many_features": 2,
    "test_loops_of_several_processes_are_compiled_ahead": 0,
    "test_many_tensors_in_one_launch": 4,
    "test_missed_steps_are_made_good_in_closed_form": 2,
    "test_no_rate_makes_steps_overshoot": 3,
    "test_no_references_are_counted": 3,
    "test_nonfinite": 3,
    "test_not_finite": 3,
    "test_nothing_spills": 0,
    "test_of_another_kind": 4,
    "test_only_the_first_process_compiles": 0,
    "test_optimizers": 3,
    "test_other_shapes": 5,
    "test_processes_that_begin_meanwhile_are_right": 0,
    "test_registers": 6,
    "test_reset": 4,
    "test_rows": 3,
    "test_rows_not_named_keep_their_bits": 20,
    "test_rows_of_every_length": 4,
    "test_rows_of_sgd_are_caught_up": 2,
    "test_rows_that_lag_behind": 4,
    "test_rows_that_lag_behind_are_those_of_the_dense_run": 4,
    "test_rows_that_lag_behind_have_the_bits_of_a_schedule": 4,
    "test_rows_without_a_closed_form": 4,
    "test_save_and_load": 4,
    "test_several_outputs": 0,
    "test_slots_begin_where_the_parameters_are_at_the_first_step": 3,
    "test_sorted_as_on_the_cpu": 4,
    "test_sparse_has_the_bits_of_the_formula": 4,
    "test_state_of_every_method_at_four_ranks": 8,
    "test_steps_that_cannot_be_made_good_are_refused_of_sparse_examples": 4,
    "test_text": 0,
    "test_the_defaults": 0,
    "test_the_fit_of_one_process": 6,
    "test_the_options_move_what_is_not_named": 0,
    "test_the_reference_is_the_oracle": 4,
    "test_the_same_bits_in_fewer_processes": 6,
    "test_the_sums_of_shares_have_the_bits_of_the_formula": 15,
    "test_theorem_5": 4,
    "test_threads_change_no_bit": 0,
    "test_what_the_gpu_refuses_has_changed_nothing": 3,
    "test_whole_weights_are_repetitions": 4,
    "test_without_a_folder_to_write_to": 0,
    "test_zeros_of_both_signs_and_denormal_values": 60,
}


def is_quick(numbers: Counter[tuple[str, str]], module: str, test: str, params: dict[str, Any]) -> bool:
    """Whether the next case of a test is to run with the quick ones; `numbers` counts the cases of each test."""
    one_in, number = ONE_IN.get(test, 1), numbers[module, test]
    numbers[module, test] += 1
    return one_in > 0 and number % one_in == 0 and _is_quick(test, params)


def _is_quick(test: str, params: dict[str, Any]) -> bool:
    return all(_plain(params[name]) in quick for name, quick in QUICK.get(test, {}).items() if name in params)


def _plain(value: Any) -> Any:
    return value.__name__ if isinstance(value, type) else value
