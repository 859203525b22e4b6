"""Labelled text as features: each line is a label, a tab and the example; and conversion of any features to CSR."""

from __future__ import annotations

import os
from io import StringIO
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..data.tables import CSR, as_features
from ..support import contents
from ..support.extras import needed

TEXT = ".tsv"
VECTORIZERS: dict[str, tuple[str, dict[str, Any]]] = {  # by features: scikit-learn's class, and its arguments
    "words": ("CountVectorizer", {"binary": True}),
    "bigrams": ("CountVectorizer", {"binary": True, "ngram_range": (2, 2)}),
    "tf-idf": ("TfidfVectorizer", {"sublinear_tf": True}),
}
FEATURES = (*VECTORIZERS,)


def load_text(path: str | os.PathLike[str], features: str = "words") -> tuple[CSR, NDArray[Any]]:
    """Read labels and features; blank lines are no examples.

    Parameters
    ----------
    path : path-like
        Text, each line of which is a label, a tab and the example.
    features : str
        ``"words"``: 1 where an example has a word; ``"bigrams"``: 1 where it has two words one after the other;
        ``"tf-idf"``: words weighted by frequency and rarity, rows of length 1.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, is no text in UTF-8 (or UTF-16 with a byte order mark), if a line has no tab, or if
        no example has a word.
    RuntimeError
        If scikit-learn is not installed.
    """
    module = needed("sklearn.feature_extraction.text", "text")
    kind, arguments = VECTORIZERS[features]
    vectorizer = getattr(module, kind)(**arguments)
    labels, texts = [], []
    for number, line in enumerate(StringIO(contents.read_text(path), newline=None), 1):
        label, tab, text = line.removeprefix("\ufeff").rstrip("\n").partition("\t")
        if not line.strip():
            continue
        if not tab:
            raise ValueError(f"{os.fspath(path)}, line {number}: must be a label, a tab and text, not {line[:40]!r}")
        labels.append(label)
        texts.append(text)
    if not texts:
        raise ValueError(f"{os.fspath(path)} is empty: it must have a label, a tab and text on each line")
    try:
        found = vectorizer.fit_transform(texts)
    except ValueError:  # the vocabulary is empty
        what = "pair of words" if features == "bigrams" else "word"
        raise ValueError(f"{os.fspath(path)}: no example has a {what} of two letters or more") from None
    return as_csr(found), np.array(labels)


def as_csr(features: Any) -> CSR:
    """Features of any kind as CSR in float64, without stored zeros.

    Raises
    ------
    RuntimeError
        If scipy is needed and not installed.
    """
    if not isinstance(features, CSR):
        features = needed("scipy.sparse", "a conversion of features to CSR").csr_array(features)
    return cast(CSR, as_features(features, dtype=np.float64))
