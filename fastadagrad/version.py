"""The version of the package, as pyproject.toml reads it too."""

__version__ = "0.1.0"
