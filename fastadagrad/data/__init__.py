"""Data on their way in: files, tables of features and labels, and minibatches."""

from .loading import load

__all__ = ["load"]
