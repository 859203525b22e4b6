"""Hyperparameters in files that `save` wrote: what differs is told, and taken if asked for."""

import numpy as np
import pytest
from checkpoints import Model, X, Y, bytes_of, trained

import fastadagrad as fa
from fastadagrad.support import array_file


class TestHyperparameters:
    """Those in force are in the file, and a program that goes by others is told."""

    def test_the_same_ones_are_no_news(self, path):
        hyper = {"learning_rate": np.float32(0.1), "groups": {"a": {"momentum": 0.5}}, "patience": 3, "threads": 1}
        trained({"a": np.ones(2), "b": np.ones(2)}, **hyper).save(path)
        same = {
            "learning_rate": float(np.float32(0.1)),
            "momentum": 0.5,
            "groups": {"b": {"momentum": 0}},
            "patience": 3,
        }
        fa.ADAGRAD(params={"a": np.ones(2), "b": np.ones(2)}, **same).load(path)

    def test_each_difference_is_named(self, path):
        params = {"a": np.ones(2), "b": np.ones(2)}
        opt = trained(params, learning_rate=0.1, groups={"b": {"l2": 0.5}})
        opt.hyper.max_global_norm = 9
        opt.save(path)
        other = fa.ADAGRAD(params=params, learning_rate=0.5, nesterov=True)
        with pytest.warns(UserWarning, match="hyper=True") as told:
            other.load(path)
        assert len(told) == 1
        for part in (
            "learning_rate was 0.1 and is 0.5",
            "nesterov was False and is True",
            "l2 of 'b' was 0.5 and is 0.0",
            "max_global_norm was 9.0 and is 0.0",
        ):
            assert part in str(told[0].message)
        assert (other.hyper.learning_rate, other.steps) == (0.5, 3)

    def test_nothing_is_changed_where_the_warning_is_an_error(self, path):
        trained({"a": np.ones(2)}, learning_rate=0.1).save(path)
        opt = fa.ADAGRAD(params={"a": np.full(2, 7.0)})
        with pytest.raises(UserWarning, match=r"learning_rate was 0\.1"):
            opt.load(path)
        assert (opt.steps, opt.params["a"].tolist()) == (0, [7, 7])

    def test_those_of_the_file_are_taken_if_asked_for(self, path):
        params = {"a": np.ones((2, 3)), "b": np.ones(3)}
        hyper = {"learning_rate": 0.1, "accumulator": "row", "groups": {"b": {"momentum": 0.5}}, "validate_every": 2}
        opt = trained(params, **hyper)
        opt.save(path)
        for steps in (0, 2):
            other = trained({"b": np.ones(3), "a": np.ones((2, 3))}, learning_rate=0.7, threads=1, steps=steps)
            other.load(path, hyper=True)
            twin = fa.ADAGRAD(params={"a": np.ones((2, 3)), "b": np.ones(3)}, **hyper)
            twin.load(path)
            assert {**other.hyper, "threads": None} == dict(twin.hyper)
            for each in (twin, other):
                each.step({"a": np.ones((2, 3)), "b": np.ones(3)})
            assert bytes_of(other, "a", "b") == bytes_of(twin, "a", "b")

    def test_a_callable_is_not_in_the_file(self, path):
        trained({"a": np.ones(2)}, learning_rate=lambda t: 0.1, momentum=0.5).save(path)
        schedule = lambda t: 0.2  # noqa: E731
        fa.ADAGRAD(params={"a": np.ones(2)}, learning_rate=schedule, momentum=0.5).load(path)
        other = fa.ADAGRAD(params={"a": np.ones(2)}, learning_rate=0.3)
        with pytest.warns(UserWarning, match="learning_rate was a callable and is 0.3, momentum was 0.5 and is 0.0"):
            other.load(path)
        for own in (schedule, 0.3):
            other = fa.ADAGRAD(params={"a": np.ones(2)}, learning_rate=own)
            with pytest.warns(UserWarning, match="cannot hold callables, such as its learning_rate: give them again"):
                other.load(path, hyper=True)
            assert (other.hyper.learning_rate, other.hyper.momentum) == (own, 0.5)
        trained({"a": np.ones(2)}, learning_rate=0.3).save(path)
        with pytest.warns(UserWarning, match="learning_rate was 0.3 and is a callable"):
            fa.ADAGRAD(params={"a": np.ones(2)}, learning_rate=schedule).load(path)

    def test_those_of_a_run_are_compared_when_it_is_taken_up(self, path):
        model = Model()
        for _ in model.opt.iterate(model.data, (X, Y), max_epochs=3, **Model.RUN):
            model.opt.save(path)
        fresh = Model()
        fresh.opt.load(path)
        fresh.opt.save(path)  # what is not taken up yet is not lost
        fresh.opt.load(path)
        with pytest.warns(UserWarning, match="momentum was 0.9 and is 0.5, validate_every was 2 and is 10;?"):
            next(fresh.opt.iterate(fresh.data, (X, Y), momentum=0.5, patience=1), None)

    def test_those_of_a_run_are_taken_too_if_asked_for(self, path):
        model = Model()
        for _ in model.opt.iterate(model.data, (X, Y), max_epochs=6, **Model.RUN):
            if model.opt.steps == 10:
                model.opt.save(path)
        fresh = Model()
        with pytest.warns(UserWarning, match="callables, such as its learning_rate"):
            fresh.opt.load(path, hyper=True)
        assert (fresh.opt.hyper.momentum, fresh.opt.hyper.patience) == (0.9, 1)
        list(fresh.opt.iterate(fresh.data, (X, Y), max_epochs=6))
        assert fresh.everything() == model.everything()

    def test_a_file_without_any(self, path):
        opt = trained({"a": np.ones(2)}, learning_rate=0.1)
        opt.save(path)
        header, arrays = array_file.read(path, "optimizer")
        del header["hyper"]
        array_file.write(path, "optimizer", header, arrays)
        fa.ADAGRAD(params={"a": np.ones(2)}).load(path)
        with pytest.raises(ValueError, match="by a version that saved no hyperparameters"):
            opt.load(path, hyper=True)
