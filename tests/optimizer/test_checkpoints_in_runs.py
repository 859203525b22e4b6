"""Checkpoints that a run writes to a folder, and runs that go on from them as if they had not stopped."""

import errno
import os
import signal
import subprocess
import sys
import threading
import warnings
from datetime import timedelta

import numpy as np
import pytest
from checkpoints import Model, X, Y

import fastadagrad as fa
from fastadagrad.support import array_file

LIMITS = {"max_epochs": 9, "patience": 3}


class LeftError(Exception):
    pass


def run_of(folder=None, body=None, limits=LIMITS, **more):
    """A run with a schedule, momentum of its own, a shuffled Dataset, and an array of updates, under `folder`."""
    model = Model(saver=lambda model: None)
    given = {} if folder is None else {"checkpoint": folder, **more}
    model.yielded = 0
    for _ in model.opt.iterate(model.data, (X, Y), **{**Model.RUN, **limits}, **given):
        model.yielded += 1
        if body is not None:
            body(model)
    return model


def everything(model):
    return {**model.everything(), "validations": model.opt.history.validations, "seen": float(model.seen)}


def leaving(*epochs):
    """A body that leaves the loop once in each of these epochs."""
    left = [*epochs]

    def body(model):
        if left and model.opt.history[-1].epoch == left[0]:
            left.pop(0)
            raise LeftError

    return body


def killed(folder, times, body=None, **more):
    """A run that is left so many times, the last of which comes to its end."""
    leave = leaving(*times)

    def both(model):
        leave(model)
        if body is not None:
            body(model)

    for _ in times:
        with pytest.raises(LeftError):
            run_of(folder, both, resume=True, **more)
    return run_of(folder, both, resume=True, **more)


def names(folder):
    return sorted(os.listdir(folder))


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


class TestRefusals:
    @pytest.mark.parametrize("wrong", [None, 3, "text", [1], {"reason": 3}, {}], ids=str)
    def test_the_end_of_a_run_is_checked(self, tmp_path, wrong):
        """A file whose record of the end is of another kind is damaged: the checkpoint before it is taken."""
        run_of(tmp_path)
        end = tmp_path / names(tmp_path)[-1]
        header, arrays = array_file.read(end, "optimizer")
        ended = {**header["run"]["ended"], **wrong} if isinstance(wrong, dict) and wrong else wrong
        array_file.write(end, "optimizer", {**header, "run": {**header["run"], "ended": ended}}, arrays)
        with pytest.warns(UserWarning, match="end-00000009.npz is not a whole"):
            found = run_of(tmp_path, resume=True)
        assert everything(found) == everything(run_of())

    def test_other_arrays_of_updates(self, tmp_path):
        def optimizer(array):
            update = (array, lambda w: w[:1] * 0 + 1)
            return fa.SGD(lambda w: (w @ w, 2 * w), np.ones(2), updates=[update], learning_rate=0.1)

        opt = optimizer(np.zeros(1))
        opt.minimize(max_epochs=2)
        opt.save(tmp_path / "file")
        same, array = np.zeros(1), np.zeros((2, 1))
        assert optimizer(same).load(tmp_path / "file") == []
        assert same == 1
        message = r"its updates have set other arrays: float64 of shape \(1,\), and here float64 of shape \(2, 1\)"
        with pytest.raises(ValueError, match=message):
            optimizer(array).load(tmp_path / "file")
        assert not array.any()

    WRONG = [  # noqa: RUF012
        ({"checkpoint": 3}, TypeError, "checkpoint must be the path of a folder, not 3"),
        ({"checkpoint": ""}, ValueError, "checkpoint must be the path of a folder"),
        ({"every": 0}, ValueError, "every must be a whole number of at least 1"),
        ({"every": 0.5}, TypeError, "every must be a whole number of epochs, or a time"),
        ({"every": True}, TypeError, "every must be a whole number"),
        ({"every": "soon"}, ValueError, "every must be a whole number of epochs, or a time such as"),
        ({"every": "0s"}, ValueError, "every must be a time above 0"),
        ({"every": timedelta(seconds=-1)}, ValueError, "every must be a time above 0"),
        ({"keep": 0}, ValueError, "keep must be a whole number of at least 1"),
        ({"checkpoint": None, "every": 2}, ValueError, "every is of checkpoints"),
        ({"checkpoint": None, "resume": True}, ValueError, "resume is of checkpoints"),
    ]

    @pytest.mark.parametrize(("given", "kind", "message"), WRONG, ids=str)
    def test_arguments(self, tmp_path, given, kind, message):
        model = Model()
        with pytest.raises(kind, match=message):
            model.opt.iterate(model.data, **{"checkpoint": tmp_path / "run", **given})

    def test_a_folder_that_cannot_be(self, tmp_path):
        (tmp_path / "file").write_text("")
        model = Model()
        nowhere = ["/proc/nothing", "/sys/kernel"] if sys.platform == "linux" else []  # which take no files
        for folder in (tmp_path / "file", tmp_path / "file" / "within", *nowhere):
            with pytest.raises(OSError, match=str(folder)):
                model.opt.iterate(model.data, checkpoint=folder)

    def test_two_runs_in_one_folder(self, tmp_path):
        one, other = Model(), Model()
        epochs = one.opt.iterate(one.data, checkpoint=tmp_path, max_epochs=3)
        next(epochs)
        with pytest.raises(ValueError, match="another run that has not ended writes to"):
            other.opt.minimize(other.data, checkpoint=tmp_path, resume=True, max_epochs=3)
        assert other.opt.steps == 0
        epochs.close()
        other.opt.minimize(other.data, checkpoint=tmp_path, resume=True, max_epochs=3)
        assert other.opt.history[-1].epoch == 3

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
    def test_a_child_does_not_keep_the_folder(self, tmp_path):
        """It is claimed by the process, not by those that this has forked."""
        code = """
            import os, signal, sys, time
            import numpy as np, fastadagrad as fa
            opt = fa.SGD(lambda w: (w @ w, 2 * w), np.ones(2), learning_rate=0.1)
            for _ in opt.iterate(max_epochs=3, checkpoint=sys.argv[1]):
                child = os.fork()
                if not child:
                    os.close(1)
                    time.sleep(60)
                print(child, flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
        """
        code = "\n".join(line[12:] for line in code.splitlines())
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", code, tmp_path], capture_output=True, check=False)
        try:
            opt = fa.SGD(lambda w: (w @ w, 2 * w), np.ones(2), learning_rate=0.1)
            opt.minimize(max_epochs=3, checkpoint=tmp_path, resume=True)
            assert opt.history[-1].epoch == 3
        finally:
            os.kill(int(done.stdout), signal.SIGKILL)

    def test_other_data_and_another_optimizer_change_nothing(self, tmp_path):
        with pytest.raises(LeftError):
            run_of(tmp_path, leaving(3))
        model = Model()
        before = model.everything()
        with pytest.raises(ValueError, match="the iteration that was saved goes on with other data"):
            model.opt.minimize(fa.Dataset([X[:9], Y[:9]], batch_size=5), checkpoint=tmp_path, resume=True)
        assert model.everything() == before
        other = fa.Adam(lambda w, x, y: (0.0, 0 * w), np.ones(2))
        message = "holds the method 'adagrad', not 'adam'; it lacks the parameters 'param0'; it has also the parameters"
        with pytest.raises(ValueError, match=message):
            other.minimize([X, Y], checkpoint=tmp_path, resume=True)
        assert other.steps == 0

    def test_a_program_with_other_hyperparameters_is_told(self, tmp_path):
        limits = {"max_epochs": 4, "l2": 0.1, "momentum": 0.0}
        with pytest.raises(LeftError):
            run_of(tmp_path, leaving(2), limits=limits)
        with pytest.warns(UserWarning, match=r"l2 was 0\.1 and is 0\.2; the run goes on with those of the program"):
            found = run_of(tmp_path, lambda model: None, limits={**limits, "l2": 0.2}, resume=True)
        assert found.opt.history[-1].epoch == 4


class TestFailures:
    def test_an_error_of_the_loss_leaves_the_files(self, tmp_path):
        def failing(model):
            if model.opt.steps == 17:
                raise LeftError

        model = Model(saver=failing)
        with pytest.raises(LeftError):
            model.opt.minimize(model.data, (X, Y), **{**Model.RUN, **LIMITS}, checkpoint=tmp_path)
        assert names(tmp_path) == ["checkpoint-00000002.npz", "checkpoint-00000003.npz"]
        assert everything(run_of(tmp_path, resume=True)) == everything(run_of())

    def test_a_loss_that_is_not_finite_writes_no_end(self, tmp_path):
        def train(**more):
            w = np.ones(2)
            opt = fa.SGD(lambda w: (w @ w if w @ w < 1e9 else np.nan, -2 * w), w, learning_rate=1.0)
            opt.minimize(max_epochs=30, **more)
            return w.tobytes(), opt.stopped_because, opt.history

        expected = train()
        assert expected[1] == "non-finite loss"
        assert train(checkpoint=tmp_path) == train(checkpoint=tmp_path, resume=True) == expected
        assert not [name for name in names(tmp_path) if name.startswith("end")]

    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
    def test_a_file_that_cannot_be_written_does_not_end_the_run(self, tmp_path, monkeypatch, code):
        fsync, calls = os.fsync, []

        def failing(descriptor):
            calls.append(descriptor)
            if len(calls) in (7, 8):
                raise OSError(code, os.strerror(code))
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", failing)
        with pytest.warns(UserWarning, match="the checkpoint is not written, and training goes on"):
            found = run_of(tmp_path)
        assert everything(found) == everything(run_of())
        assert names(tmp_path)[-1].startswith("end")

    def test_the_last_file_cannot_be_written(self, tmp_path):
        """The disk is full: the run is done, older files are as they were, and the error comes at the end."""
        with pytest.raises(LeftError):
            run_of(tmp_path, leaving(3))
        before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
        model = Model(saver=lambda model: None)
        resource = pytest.importorskip("resource")
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            with (
                pytest.warns(UserWarning, match="training goes on"),
                pytest.raises(OSError, match="too large") as caught,
            ):
                model.opt.minimize(model.data, (X, Y), **{**Model.RUN, **LIMITS}, checkpoint=tmp_path, resume=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert str(caught.value.filename).startswith(str(tmp_path / "end-"))
        assert everything(model) == everything(run_of())
        assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before
        assert everything(run_of(tmp_path, resume=True)) == everything(run_of())

    def test_an_optimizer_within_another(self, tmp_path):
        def nested(model):
            run_of(tmp_path / str(model.opt.history[-1].epoch))

        assert everything(run_of(tmp_path / "outer", nested)) == everything(run_of())
        assert len(names(tmp_path)) == 10

    def test_in_another_thread(self, tmp_path):
        found = []
        for times in ((3,), (6,), ()):
            thread = threading.Thread(target=lambda times=times: found.append(self.caught(tmp_path, times)))
            thread.start()
            thread.join()
        assert found[:2] == [None, None]
        assert everything(found[2]) == everything(run_of())

    @staticmethod
    def caught(folder, times):
        try:
            return run_of(folder, leaving(*times), resume=True)
        except LeftError:
            return None

    def test_copies_are_in_no_run(self, tmp_path):
        twins = []
        model = run_of(tmp_path, lambda model: twins.append(model.opt.twin()))
        for twin in twins[:2]:
            twin.minimize((X, Y), max_epochs=1)
        assert model.everything() == run_of().everything()
        assert len(names(tmp_path)) == 3
