"""The error that all of the interpreter raises."""


class Fault(Exception):
    """A kernel did what it must not, or what the interpreter does not know."""
