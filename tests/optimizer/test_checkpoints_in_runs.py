"""Checkpoints that a run writes to a folder, and runs that go on from them as if they had not stopped."""

import os
import signal
import warnings
from datetime import timedelta

import numpy as np
import pytest
from checkpoints import Model, X, Y
from left_runs import LIMITS, LeftError, everything, killed, leaving, names, run_of

import fastadagrad as fa
from fastadagrad.support import array_file


class TestBits:
    @pytest.mark.parametrize("times", [(1,), (4,), (2, 3, 7), (8,)], ids=str)
    @pytest.mark.parametrize("every", [1, 2, 4, "0.001s", timedelta(hours=1)], ids=str)
    def test_left_and_taken_up(self, tmp_path, times, every):
        assert everything(killed(tmp_path, times, every=every)) == everything(run_of())

    LIMITS = {  # noqa: RUF012
        "max_updates in an epoch": {"max_updates": 23, "patience": 3},
        "patience": {"patience": 0, "validate_every": 1, "learning_rate": 0.5},
        "max_epochs": {"max_epochs": 5, "patience": 9, "validate_every": 3},
    }

    @pytest.mark.parametrize("limits", LIMITS)
    def test_every_end(self, tmp_path, limits):
        limits = self.LIMITS[limits]
        expected = run_of(limits=limits)
        assert expected.yielded > 1
        assert everything(killed(tmp_path, (1, 1), limits=limits)) == everything(expected)
        again = run_of(tmp_path, limits=limits, resume=True)
        assert (everything(again), again.yielded) == (everything(expected), 0)
        assert again.opt.stopped_because == expected.opt.stopped_because

    BODIES = {  # noqa: RUF012
        "rate": lambda model: model.opt.hyper.update(learning_rate=0.5 / model.opt.history[-1].epoch),
        "momentum, which the run was given": lambda model: model.opt.hyper.update(momentum=0.1),
        "groups": lambda model: model.opt.hyper.update(
            groups={"param/x": {"weight_decay": 0.1 / model.opt.history[-1].epoch}}
        ),
        "parameters": lambda model: model.opt.set_params([array * 0.5 for array in model.params.values()]),
        "steps": lambda model: model.opt.step({name: np.full(a.shape, 0.1) for name, a in model.params.items()}),
    }

    @pytest.mark.parametrize("body", BODIES)
    def test_what_the_body_changes_comes_back(self, tmp_path, body):
        body = self.BODIES[body]
        expected = run_of(body=body)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a callable rate that the file cannot hold
            found = killed(tmp_path, (3, 6), body)
        assert everything(found) == everything(expected)
        kept = [{k: v for k, v in model.opt.hyper.items() if not callable(v)} for model in (found, expected)]
        assert kept[0] == kept[1]

    def test_limits_that_are_raised(self, tmp_path):
        for limits in ({"max_epochs": 3}, {"max_epochs": 6}, {"max_updates": 33}):
            found = run_of(tmp_path, limits={**limits, "patience": 9}, resume=True)
            assert everything(found) == everything(run_of(limits={**limits, "patience": 9}))

    def test_more_patience(self, tmp_path):
        limits = self.LIMITS["patience"]
        run_of(tmp_path, limits=limits)
        longer = {**limits, "patience": 2, "max_epochs": 12}
        with pytest.warns(UserWarning, match="patience was 0 and is 2; the run goes on with those of the program"):
            found = run_of(tmp_path, limits=longer, resume=True)
        assert found.everything()["params"] == run_of(limits=longer).everything()["params"]

    @pytest.mark.parametrize("number", [1, 6, 10, 15, 24])
    def test_ctrl_c_in_an_epoch(self, tmp_path, number):
        def ringing(model):
            if model.opt.steps == number:
                signal.raise_signal(signal.SIGINT)

        def minimized(saver, **more):
            model = Model(saver=lambda model: saver(model))
            model.opt.minimize(model.data, (X, Y), **{**Model.RUN, **LIMITS}, **more)
            return model

        assert minimized(ringing, checkpoint=tmp_path).opt.stopped_because == "interrupted"
        found = minimized(lambda model: None, checkpoint=tmp_path, resume=True)
        assert everything(found) == everything(minimized(lambda model: None))

    def test_a_loss_without_data(self, tmp_path):
        def train(body=None, **more):
            w = np.array([4.0])
            opt = fa.Adam(lambda w: (w @ w, 2 * w), w, learning_rate=0.1)
            for _ in opt.iterate(max_epochs=12, validate_every=4, **more):
                if body is not None and opt.steps == body:
                    break
            return w.tobytes(), opt.history, opt.best

        train(5, checkpoint=tmp_path, every=3)
        assert train(checkpoint=tmp_path, every=3, resume=True) == train()

    def test_rows_that_lag_behind(self, tmp_path):
        """They are caught up for each file, so that bits are those of an undisturbed run with the same files."""
        batches = [(np.array([i, (3 * i) % 8]),) for i in range(6)]

        def train(folder=None, stop=None):
            w = np.ones((8, 2), np.float32)

            def loss(w, rows):
                return float((w[rows] ** 2).sum()), fa.Rows(rows, w[rows] * np.float32(0.3))

            opt = fa.SGD(loss, w, learning_rate=0.1, momentum=0.9)
            given = {} if folder is None else {"checkpoint": folder, "every": 2, "resume": True}
            for _ in opt.iterate(
                batches, max_epochs=9, validate_every=5, touches=lambda rows: {"param0": rows}, **given
            ):
                if len(opt.history) == stop:
                    break
            opt.flush()
            return w

        train(tmp_path / "left", 4)
        train(tmp_path / "left", 7)
        found = train(tmp_path / "left")
        np.testing.assert_array_equal(found, train(tmp_path / "undisturbed"))
        np.testing.assert_allclose(found, train(), rtol=1e-5)

    def test_minimize_returns_the_same(self, tmp_path):
        def minimized(**more):
            w = np.zeros(3)
            return fa.minimize(
                lambda w, x: (float(np.square(x - w).mean()), (w - x.mean(0)) / 5),
                X,
                params=w,
                learning_rate=0.1,
                max_epochs=4,
                rng=0,
                batch_size=5,
                **more,
            ), w.tobytes()

        expected = minimized()
        assert minimized(checkpoint=tmp_path) == expected
        assert minimized(checkpoint=tmp_path, resume=True) == expected

    def test_two_runs_one_after_the_other(self, tmp_path):
        """The first has ended; started again, the program passes over it."""

        def program(stop=None, **more):
            model = Model()
            for phase, rate in enumerate((0.3, 0.1)):
                given = {"checkpoint": tmp_path / str(phase), "resume": True} if more else {}
                for _ in model.opt.iterate(model.data, (X, Y), max_epochs=4, learning_rate=rate, **given):
                    if stop == (phase, model.opt.history[-1].epoch):
                        return None
            return model.everything()

        program((1, 2), saved=True)
        assert program(saved=True) == program()


class TestFiles:
    def test_names_and_numbers(self, tmp_path):
        run_of(tmp_path / "made" / "here", keep=3)
        assert names(tmp_path / "made" / "here") == [
            *(f"checkpoint-0000000{number}.npz" for number in (6, 7, 8)),
            "end-00000009.npz",
        ]
        run_of(tmp_path / "all", keep=None)
        assert len(names(tmp_path / "all")) == 9
        run_of(tmp_path / "one", every=4, keep=1)
        assert names(tmp_path / "one") == ["checkpoint-00000002.npz", "end-00000003.npz"]

    def test_an_older_one_is_deleted_after_the_new_one_is_there(self, tmp_path, monkeypatch):
        unlink = os.unlink

        def looking(path, *rest, **more):
            if os.path.basename(path).startswith("checkpoint"):
                there = [int(name[11:19]) for name in names(tmp_path) if name.startswith("checkpoint")]
                assert max(there) >= int(os.path.basename(path)[11:19]) + 2
            return unlink(path, *rest, **more)

        monkeypatch.setattr(os, "unlink", looking)
        run_of(tmp_path)

    def test_another_run_is_refused_and_nothing_is_deleted(self, tmp_path):
        run_of(tmp_path)
        before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
        with pytest.raises(ValueError, match=r"end-00000009\.npz the newest: go on from them .*resume=True"):
            run_of(tmp_path)
        assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before

    def test_a_damaged_newest_is_passed_over(self, tmp_path):
        with pytest.raises(LeftError):
            run_of(tmp_path, leaving(5))
        newest = tmp_path / names(tmp_path)[-1]
        newest.write_bytes(newest.read_bytes()[:-100])
        with pytest.warns(UserWarning, match=f"{newest.name} is not a whole .*: the checkpoint before it is taken"):
            found = run_of(tmp_path, resume=True)
        assert everything(found) == everything(run_of())

    def test_none_is_whole(self, tmp_path):
        run_of(tmp_path)
        for name in names(tmp_path):
            (tmp_path / name).write_bytes(b"nothing")
        with (
            pytest.warns(UserWarning, match="is taken"),
            pytest.raises(ValueError, match="none of the 3 checkpoints in"),
        ):
            run_of(tmp_path, resume=True)

    def test_a_newer_version_is_not_passed_over(self, tmp_path, monkeypatch):
        run_of(tmp_path)
        monkeypatch.setattr(array_file, "VERSION", 1)
        with pytest.raises(ValueError, match="written by a newer fastadagrad"):
            run_of(tmp_path, resume=True)

    def test_resume_begins_where_there_is_none(self, tmp_path):
        assert everything(run_of(tmp_path, resume=True)) == everything(run_of())

    def test_load_takes_the_newest(self, tmp_path):
        ended = run_of(tmp_path)
        other = Model()
        assert other.opt.load(tmp_path) == []
        assert other.everything()["params"] == ended.everything()["params"]
        with pytest.raises(ValueError, match="a folder without checkpoints"):
            other.opt.load(tmp_path / "..")

    def test_what_a_killed_process_has_left_is_deleted(self, tmp_path):
        (tmp_path / ".checkpoint-00000007.npz.0123456789ab.tmp").write_bytes(b"half")
        (tmp_path / ".end-00000007.npz.0123456789ab.tmp").write_bytes(b"half")
        run_of(tmp_path)
        assert not [name for name in names(tmp_path) if name.startswith(".")]

    def test_the_folder_does_not_depend_on_the_current_one(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "elsewhere").mkdir()
        run_of("run", lambda model: monkeypatch.chdir(tmp_path / "elsewhere"))
        assert names(tmp_path) == ["elsewhere", "run"]
        assert names(tmp_path / "elsewhere") == []
