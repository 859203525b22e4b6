"""What `fastadagrad fit` says of a model at its end."""

import json

from command_line import run


def test_fit_says_how_many_weights_are_not_0(capsys):
    command, told = ("fit", "breast_cancer", "--epochs", "3", "--learning-rate", "0.1"), []
    for penalty in (("--l1", "0.01"), ("--method", "adagrad_da", "--rda-l1", "0.05"), ("--l1", "0")):
        _, out, _ = run(capsys, *command, *penalty)
        _, report, _ = run(capsys, *command, *penalty, "--json")
        zeros = json.loads(report)["zero_weights"]
        told.append(f"\n{30 - zeros} of 30 weights are not 0\n" in out)
    assert told == [True, True, False]


def test_fit_says_once_which_loss_was_still_falling(capsys):
    status, out, err = run(capsys, "fit", "iris", "--epochs", "3")
    assert (status, "falling" in err) == (0, False)  # the report has it, and not the log as well
    (line,) = (line for line in out.splitlines() if "falling" in line)
    assert line.startswith("the training loss was still falling, by ")
    assert line.endswith("% in the last of 3 epochs: --epochs 6 may help, which --valid 0.2 would tell")
