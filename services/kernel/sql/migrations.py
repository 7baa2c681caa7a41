"""Migrations as files, ``NNNN_name.sql`` in a package's folder, numbered from 0001 without a gap; which are to come."""

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Final

from services.kernel.errors import Incompatible, Invalid
from services.kernel.sql import Migration

_NAME: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


def load(package: str) -> list[Migration]:
    """Read the migrations of ``package`` (``services.scans.migrations``), oldest first.

    Raises:
        Invalid: a file is misnamed, or a number is missing or there twice.
    """
    found: list[Migration] = []
    for entry in files(package).iterdir():
        if entry.name.endswith(".sql"):
            match = _NAME.fullmatch(entry.name)
            if match is None:
                raise Invalid(f"{package}: {entry.name} is not named NNNN_name.sql")
            found.append(Migration(version=int(match[1]), name=match[2], script=entry.read_text(encoding="utf-8")))
    found.sort(key=lambda step: (step.version, step.name))
    if [step.version for step in found] != list(range(1, len(found) + 1)):
        raise Invalid(f"{package}: the numbers of migrations must be 0001, 0002 … without a gap or a repetition")
    return found


def steps_ahead(
    database: str, made: Mapping[int, str], migrations: Sequence[Migration], *, shared: bool = False
) -> list[Migration]:
    """The steps that ``database`` is still to take, in order; ``made`` has the digest of each that it has taken.

    Where it is ``shared``, those of a newer version may have been taken.

    Raises:
        Incompatible: one of them is not known, or had another script.
    """
    # The kernel's steps count down from 0, and those of a service up from 1: each sequence grows by itself.
    known = {step.version: step for step in sorted(migrations, key=lambda step: (step.version > 0, abs(step.version)))}
    for version in sorted(made):
        if version not in known and shared and not min(known, default=0) <= version <= max(known, default=0):
            continue
        if version not in known:
            raise Incompatible(
                f"{database} has schema version {version}, and this Mirage knows up to {max(known, default=0)}:"
                " use a newer one, or name another folder with --data"
            )
        if made[version] != known[version].digest:
            raise Incompatible(
                f"{database} was made by another build of Mirage, whose schema version {version} is not this one's:"
                " use that build, or name another folder with --data"
            )
    return [step for step in known.values() if step.version not in made]
