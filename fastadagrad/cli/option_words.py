"""Words about options: what was meant by one that a command lacks, and the library's messages in options' names."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from ..support.hints import LINEAR_MODELS, meant_by

SYNONYMS = {"n_features": "features", "validation": "valid"}  # the library's keywords, and the options that give them
_NAME = r"(?<![\w./\\'\"=:,-])({})"  # neither part of a path nor of a quotation
_VALUE = r"=('[\w-]*'|[a-z]\w*|[+-]?[0-9.]+(?:e[+-]?[0-9]+)?|True|False)(?![\w/\\.])"


def unknown(rest: Sequence[str], command: str, parsers: Mapping[str, argparse.ArgumentParser]) -> str:
    """The message for arguments that a command does not take: what was meant, or which commands have the option."""
    message = f"unrecognized arguments: {' '.join(rest)}"
    option = next((each.partition("=")[0] for each in rest if each.startswith("--")), None)
    if option is None:
        return message
    known = dict(_names(parsers[command]))
    meant = meant_by(option[2:], known, LINEAR_MODELS)
    if meant is not None:
        return f"{message}: did you mean {known[meant.name]}?" if meant.name else f"{message}: {meant.sentence}"
    others = [name for name, parser in parsers.items() if option in dict(_names(parser)).values()]
    return f"{message}: {option} is an option of {' and '.join(others)}" if others else message


def in_options(message: str, parser: argparse.ArgumentParser, given: argparse.Namespace) -> str:
    """A message of the library, whose keywords are replaced by the options of the command line that give them.

    A keyword beside which the message names the option itself is left as it is.
    """
    message = re.sub(r"^[\w.]+ got an unexpected keyword '(\w+)': it is", r"\1 is", message)
    by_dest = {action.dest: action for action in parser._actions if action.option_strings}
    actions = by_dest | {name: by_dest[dest] for name, dest in SYNONYMS.items() if dest in by_dest}
    for name, action in actions.items():
        if any(flag in message for flag in action.option_strings if flag.startswith("--")):
            continue
        message = re.sub(_NAME.format(name) + _VALUE, partial(_with_value, action), message)
        flag = _flag(action, getattr(given, action.dest, None) is not False)
        if "_" in name:
            message = re.sub(_NAME.format(name) + r"(?![\w./\\'\"=-])", flag, message)
        elif getattr(given, name, None) not in (None, []):
            message = re.sub(rf"^{name} (?=must |names |is an option )", f"{flag} ", message)
    return message


def _names(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """Names of a command's options in Python, by their flags and by the keywords that they give, each with a flag."""
    for action in parser._actions:
        flags = [flag for flag in action.option_strings if flag.startswith("--")]
        if flags:
            yield action.dest, _flag(action, True)
        for flag in flags:
            yield flag[2:].replace("-", "_"), flag


def _flag(action: argparse.Action, wanted: bool) -> str:
    """The flag of an option; of a switch, the one that says yes, or else no, if it has that."""
    flags = [flag for flag in action.option_strings if flag.startswith("--")]
    return next((flag for flag in flags if flag.startswith("--no-") != wanted), flags[0])


def _with_value(action: argparse.Action, found: re.Match[str]) -> str:
    value = found[2]
    if value not in ("True", "False"):
        return f"{_flag(action, True)} {value.strip(chr(39))}"
    flag, wanted = _flag(action, value == "True"), value == "True"
    return flag if flag.startswith("--no-") != wanted else found[0]
