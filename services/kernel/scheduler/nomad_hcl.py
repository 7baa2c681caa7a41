"""Variables of a job in HCL: which a job has, and how they are given to it."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

#: What a variable of a job may be given: HCL's own kinds; None is HCL's null, and so mostly the default.
Value = str | int | float | bool | None | Sequence["Value"] | Mapping[str, "Value"]
_VARIABLE: Final = re.compile(r'^\s*variable\s+"([^"]+)"', re.MULTILINE)


def declared(text: str) -> set[str]:
    """The names of the variables that a job has."""
    return set(_VARIABLE.findall(text))


def variables_file(given: Mapping[str, Value]) -> str:
    """Variables of a job as a file has them, one a line: ``nomad job run -var-file=…`` reads it."""
    return "".join(f"{name} = {literal(value)}\n" for name, value in given.items())


def literal(value: Value) -> str:
    """A value as HCL has it. Templates in texts are not meant as such."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + "".join(_ESCAPES.get(each, each) for each in value).replace("${", "$${").replace("%{", "%%{") + '"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(name)} = {literal(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(literal, value)) + "]"
    return repr(value)


_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
