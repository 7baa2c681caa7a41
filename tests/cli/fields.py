"""The fields that listing verbs print as JSON, by their page."""

import re

from tests.proof.processes import ROOT

PAGE = ROOT / "services" / "cli" / "README.md"


def documented() -> dict[str, set[str]]:
    """The fields of each verb: the first column of the table below its heading."""
    fields: dict[str, set[str]] = {}
    verbs: list[str] = []
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith("## "):
            verbs = ["export"] if line == "## Fields of exports" else []
            fields.update((verb, set()) for verb in verbs)
        elif line.startswith("### "):
            verbs = re.findall(r"`([^`]+)`", line)
            fields.update((verb, set()) for verb in verbs)
        elif line.startswith("| `"):
            for verb in verbs:
                fields[verb].update(re.findall(r"`([^`]+)`", line.split("|")[1]))
    return fields
