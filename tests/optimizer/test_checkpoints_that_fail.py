"""Checkpoints that are refused, damaged, or cannot be written; and runs that fail, or are within others."""

import errno
import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta

import numpy as np
import pytest
from checkpoints import Model, X, Y
from full_disk import no_room_for
from left_runs import LIMITS, LeftError, everything, leaving, names, run_of

import fastadagrad as fa
from fastadagrad.support import array_file


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
                    os.close(2)
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

    def test_where_warnings_are_errors_a_full_disk_does_not_end_the_run(self, tmp_path, monkeypatch, caplog):
        no_room_for(monkeypatch, "00000003", once=True)
        found = run_of(tmp_path)
        assert "No space left on device" in caplog.text
        assert everything(found) == everything(run_of())

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
