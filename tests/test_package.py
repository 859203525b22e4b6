"""The package itself: what it lists, what it says where there is no such name, and the map in its docstring."""

import re
import subprocess
import sys

import pytest

import fastadagrad as fa


def message_for(name):
    with pytest.raises(AttributeError) as caught:
        getattr(fa, name)
    assert caught.value.name == name
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Adagrad", "ADAGRAD"),
        ("AdaGrad", "ADAGRAD"),
        ("adagrad", "ADAGRAD"),
        ("RMSprop", "RMSProp"),
        ("Sgd", "SGD"),
        ("ADAM", "Adam"),
        ("Adadelta", "ADADELTA"),
        ("adagrad_da", "AdaGradDA"),
        ("Nesterov", "NAG"),
        ("Row", "Rows"),
        ("LinearModels", "LinearModel"),
        ("minimise", "minimize"),
        ("Optimiser", "Optimizer"),
        ("SGDClassifier", "LinearModel"),
    ],
)
def test_a_near_name_is_told(name, meant):
    assert message_for(name) == f"module 'fastadagrad' has no attribute {name!r}: did you mean {meant!r}?"


def test_what_is_a_hyperparameter_here_is_told():
    assert message_for("AdamW").endswith("it is Adam(..., decoupled_weight_decay=0.01)")
    assert message_for("LogisticRegression").endswith("it is LinearModel('logistic')")


@pytest.mark.parametrize("name", ["load", "nothing_like_it", "_private", "__wrapped__"])
def test_no_hint_is_better_than_a_wrong_one(name):
    assert message_for(name) == f"module 'fastadagrad' has no attribute {name!r}"


def test_every_name_that_is_hinted_at_is_there():
    from fastadagrad.support.hints import PUBLIC, Said

    for meant in PUBLIC.values():
        for name in meant.needs if isinstance(meant, Said) else (meant,):
            assert name in fa.__all__, name


def test_a_module_that_is_not_imported_yet_is_told():
    program = "import fastadagrad as fa\ntry: fa.methods\nexcept AttributeError as error: print(error)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told == "module 'fastadagrad' has no attribute 'methods' until it is imported: import fastadagrad.methods\n"


def test_dir_lists_public_names_only_also_after_use():
    program = (
        "import fastadagrad as fa\nimport numpy as np\n"
        "before = dir(fa)\nfa.LinearModel, fa.build('sgd', params=np.ones(2)).steps\n"
        "assert before == dir(fa)\n"
        "assert [n for n in before if n[:2] != '__'] == sorted([*fa.__all__, 'scipy', 'sklearn']), before\n"
        "from fastadagrad import *\nassert ADAGRAD is fa.ADAGRAD\n"
        "print('done')"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "done\n"


def test_the_map_names_all_that_there_is():
    told = {*re.findall(r"`(\w+)`", fa.__doc__)}
    assert {*fa.__all__} - told == set()
    assert {name for name in told if not name.islower()} <= {*fa.__all__}
