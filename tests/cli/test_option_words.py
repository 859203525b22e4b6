"""Options that a command lacks, and the library's messages in the names of options."""

import pytest
from command_line import run

from fastadagrad import cli
from fastadagrad.cli.option_words import in_options


@pytest.mark.parametrize(
    ("arguments", "usage", "last"),
    [
        ("fit iris --methods adagrad", "fit", "--methods adagrad: did you mean --method?"),
        ("compare digits --method sgd", "compare", "--method sgd: did you mean --methods?"),
        ("predict m s --hash-bits 3", "predict", "--hash-bits 3: --hash-bits is an option of fit"),
        ("compare digits --missing zero", "compare", "--missing zero: --missing is an option of fit and predict"),
        ("fit iris --max-iter 3", "fit", "--max-iter 3: did you mean --epochs?"),
        ("fit iris --alpha=3", "fit", "--alpha=3: it is l2 here, or l1, by the penalty"),
        ("fit iris wine", "fit", "unrecognized arguments: wine"),
        ("info --zzz", "info", "unrecognized arguments: --zzz"),
    ],
)
def test_an_unknown_option_is_explained_by_the_command(capsys, arguments, usage, last):
    with pytest.raises(SystemExit) as leaving:
        run(capsys, *arguments.split())
    assert leaving.value.code == 2
    first, *_, error = capsys.readouterr().err.splitlines()
    assert first.startswith(f"usage: fastadagrad {usage} ")
    assert error.startswith(f"fastadagrad {usage}: error: unrecognized arguments: ")
    assert error.endswith(last)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--epochs 0", "--epochs must be a whole number of at least 1, not 0"),
        ("--batch-size 0", "--batch-size must be a whole number of at least 1, not 0"),
        ("--l1 -1", "--l1 must be finite and at least 0, not -1.0"),
        ("--ftrl-l1 3", "--ftrl-l1 is for method 'ftrl'; of its own, 'adagrad' has --rms-regularizer, "),
        ("--quantile .3", "--quantile is an option of the quantile loss, and loss is 'auto': use --loss quantile"),
        ("--implicit --momentum .5", "--implicit is not possible: momentum moves weights beyond what one example asks"),
        ("--method cocob --learning-rate auto", "--learning-rate auto finds nothing for COCOB"),
    ],
)
def test_what_is_refused_is_named_as_it_was_typed(capsys, arguments, message):
    status, out, err = run(capsys, "fit", "iris", *arguments.split())
    assert (status, out) == (2, "")
    assert err.startswith(f"fastadagrad: {message}")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("use shuffle=False", "use --no-shuffle"),
        ("use shuffle=True", "use shuffle=True"),  # there is no option for it
        ("use implicit=False, scale='none'", "use --no-implicit, --scale none"),
        ("n_features must be left out with hash_bits=3", "--features must be left out with --hash-bits 3"),
        ("seed=3/scale.csv has no rows", "seed=3/scale.csv has no rows"),
        ("runs/batch_size.csv, batch_size-1: damaged", "runs/batch_size.csv, batch_size-1: damaged"),
        ("missing='zero' (--missing zero|mean) fills", "missing='zero' (--missing zero|mean) fills"),
        ("loss must be named", "--loss must be named"),
        ("seed must be named", "seed must be named"),  # it was not given
    ],
)
def test_only_keywords_become_options(message, expected):
    parser = cli._make_parser()
    given = parser.parse(["fit", "iris", "--loss", "squared"])
    assert in_options(message, parser.commands["fit"], given) == expected


@pytest.mark.parametrize("given", [["--classes", "-1,1"], ["--classes=-1,1"]])
def test_a_list_of_classes_may_begin_with_a_negative_number(given):
    assert cli._make_parser().parse(["fit", "a.svm", "--stream", *given]).classes == ["-1", "1"]
