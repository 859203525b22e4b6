"""Text to classify: a label, a tab and an example a line."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..tables import CSR

TEXT = ".tsv"


def load_text(path: str | os.PathLike[str]) -> tuple[CSR, NDArray[Any]]:
    """Words weighted by frequency and rarity (tf-idf, rows of length 1), and labels.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, or a line has no tab.
    RuntimeError
        If scikit-learn is not installed.
    """
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError:
        raise RuntimeError('text needs scikit-learn: pip install "fastadagrad[fit]"') from None
    labels, texts = [], []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            label, tab, text = line.rstrip("\n").partition("\t")
            if not tab:
                raise ValueError(
                    f"{os.fspath(path)}, line {number}: must be a label, a tab and text, not {line[:40]!r}"
                )
            labels.append(label)
            texts.append(text)
    if not texts:
        raise ValueError(f"{os.fspath(path)} is empty: it must have a label, a tab and text on each line")
    found = TfidfVectorizer(sublinear_tf=True).fit_transform(texts)
    data, indices, indptr = found.data, found.indices.astype(np.int32), found.indptr.astype(np.int64)
    return CSR(data, indices, indptr, found.shape), np.array(labels)
