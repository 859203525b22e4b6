"""`fit --checkpoint --resume`: the same command goes on, and writes the model that an undisturbed one writes."""

import os
import signal

import pytest
from full_disk import no_room_for
from streamed import LABELS, text_of

from fastadagrad.cli import main
from fastadagrad.data import stream_text
from fastadagrad.linear import LinearModel
from fastadagrad.linear.streams import fit_stream
from fastadagrad.support.numbered_files import Checkpoints


class KilledError(BaseException):
    pass


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setattr(stream_text, "BLOCK", 4000)
    monkeypatch.setitem(fit_stream.__kwdefaults__, "buffer", 1500)
    path = tmp_path / "examples.svm"
    path.write_text(text_of(LABELS["squared"]))
    return path


def run(capsys, *arguments):
    status = main([*map(str, arguments)])
    return (status, *capsys.readouterr())


def kill_after(monkeypatch, files, *arguments):
    """Run a command that is killed once it has written so many checkpoints."""
    save, written = Checkpoints.save, []

    def saving(self, write, ended=False):
        save(self, write, ended)
        written.append(self)
        if len(written) == files:
            raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "save", saving)
        with pytest.raises(KilledError):
            main([*map(str, arguments)])


WAYS = {
    "in memory": (["--epochs", 5], [1, 2]),
    "in memory, validated": (["--epochs", 5, "--valid", 0.2, "--patience", 1, "--average", "no"], [2]),
    "streamed": (["--stream", "--epochs", 3, "--every", "0.0001s"], [3, 4]),
    "streamed, every second epoch": (
        ["--stream", "--epochs", 5, "--every", 2, "--keep", 1, "--learning-rate", 0.1],
        [1, 1],
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_model_is_the_same_byte_for_byte(capsys, tmp_path, monkeypatch, source, way):
    options, kills = WAYS[way]
    command = ["fit", source, "--loss", "squared", "--quiet", *options, "--checkpoint", tmp_path / "run", "--resume"]
    for files in kills:
        kill_after(monkeypatch, files, *command, "--model", tmp_path / "model")
        assert not (tmp_path / "model").exists()
    for again in ("model", "again"):
        assert run(capsys, *command, "--model", tmp_path / again)[0] == 0
    plain = command[: command.index("--checkpoint")]
    for name in ("--every", "--keep"):
        if name in plain:
            del plain[plain.index(name) : plain.index(name) + 2]
    assert run(capsys, *plain, "--model", tmp_path / "expected")[0] == 0
    expected = (tmp_path / "expected").read_bytes()
    assert (tmp_path / "model").read_bytes() == (tmp_path / "again").read_bytes() == expected


def test_what_it_shows_of_epochs_before(capsys, tmp_path, monkeypatch, source):
    command = ["fit", source, "--learning-rate", 0.1, "--epochs", 3, "--checkpoint", tmp_path / "run", "--resume"]
    kill_after(monkeypatch, 2, *command)
    capsys.readouterr()
    status, out, err = run(capsys, *command)
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()[1:5]] == ["epoch", "1", "2", "3"]
    assert "going on from" in err


def test_from_a_model_to_checkpoints(capsys, tmp_path, monkeypatch, source):
    """A model to go on from, until the folder has something."""
    first = ["fit", source, "--stream", "--epochs", 1, "--learning-rate", 0.1, "--quiet"]
    assert run(capsys, *first, "--model", tmp_path / "first")[0] == 0
    more = ["fit", source, "--resume", tmp_path / "first", "--epochs", 3, "--quiet"]
    assert run(capsys, *more, "--model", tmp_path / "expected")[0] == 0
    kill_after(monkeypatch, 2, *more, "--checkpoint", tmp_path / "run")
    assert run(capsys, *more, "--checkpoint", tmp_path / "run", "--model", tmp_path / "model")[0] == 0
    assert (tmp_path / "model").read_bytes() == (tmp_path / "expected").read_bytes()


def test_refusals(capsys, tmp_path, source):
    folder = tmp_path / "run"
    command = ["fit", source, "--learning-rate", 0.1, "--epochs", 2, "--quiet"]
    assert run(capsys, *command, "--checkpoint", folder)[0] == 0
    for options, message in (
        (["--checkpoint", folder], "has checkpoints of an earlier run"),
        (["--checkpoint", folder, "--resume", "--l2", 0.1], "is of another fit: l2 was 0.0 and is 0.1"),
        (["--resume"], "--resume goes on from --checkpoint DIR, or from a model, --resume MODEL: name one"),
        (["--resume", folder], f"{folder}: Is a directory: to go on from checkpoints in it, give --checkpoint"),
        (["--every", "5min"], "--every is of checkpoints: name their folder, --checkpoint DIR"),
        (["--keep", 3], "--keep is of checkpoints"),
        (["--checkpoint", tmp_path / "new", "--every", "often"], "every must be a whole number of epochs, or a time"),
        (["--checkpoint", tmp_path / "new", "--keep", 0], "keep must be a whole number of at least 1"),
        (["--checkpoint", source], f"{source}: checkpoint must be a folder"),
    ):
        status, out, err = run(capsys, *command, *options)
        assert (status, out) == (2, "")
        assert message in err
        assert err.count("\n") == 1, err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "TERM"])
def test_an_interruption_writes_a_checkpoint(capsys, tmp_path, monkeypatch, source, number, expected):
    from fastadagrad.linear.fed import Fed

    train, calls = Fed.train, []

    def interrupted(self, order):
        calls.append(order)
        if len(calls) == 20:
            signal.raise_signal(number)
        return train(self, order)

    command = [
        "fit",
        source,
        "--stream",
        "--learning-rate",
        0.1,
        "--epochs",
        3,
        "--quiet",
        "--model",
        tmp_path / "model",
    ]
    with monkeypatch.context() as patched:
        patched.setattr(Fed, "train", interrupted)
        assert run(capsys, *command, "--checkpoint", tmp_path / "run", "--every", "1h")[0] == expected
    assert os.listdir(tmp_path / "run") == ["checkpoint-00000001.npz"]
    assert run(capsys, *command, "--checkpoint", tmp_path / "run", "--resume")[0] == 0
    found = (tmp_path / "model").read_bytes()
    assert run(capsys, *command)[0] == 0
    assert (tmp_path / "model").read_bytes() == found


def test_a_full_disk_leaves_the_model(capsys, tmp_path, monkeypatch, source):
    """The last checkpoint cannot be written: the model is, and the command says what is missing."""
    no_room_for(monkeypatch, "checkpoint-")
    folder, model = tmp_path / "run", tmp_path / "model"
    status, _, err = run(capsys, "fit", source, "--epochs", 2, "--checkpoint", folder, "--model", model, "--quiet")
    assert status == 2
    assert err.splitlines()[-1] == f"fastadagrad: {folder}/checkpoint-00000001.npz: No space left on device"
    assert LinearModel.load(model).best_epoch == 2
    assert os.listdir(folder) == []
