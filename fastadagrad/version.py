"""The version of the package, as pyproject.toml reads it too."""

__version__ = "0.2.0"
