"""The tables of the README, between ``<!-- rendered: NAME -->`` and ``<!-- end -->``."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from msgspec import Struct

from services.contracts.permissions import PERMISSIONS, ROLES
from services.kernel.errors import Invalid
from services.kernel.messages import message_type
from services.kernel.service import Service

_PLACE: Final = re.compile(r"<!-- rendered: (\w+) -->\n(.*?)<!-- end -->", re.DOTALL)


def fill_readme(text: str, services: Sequence[Service]) -> str:
    """The README with its tables as the declarations say.

    Raises:
        Invalid: it asks for a table that there is not, or a place has no end.
    """
    tables: dict[str, Callable[[], str]] = {
        "services": lambda: services_table(services),
        "modules": modules_table,
        "permissions": permissions_table,
    }

    def fill(place: re.Match[str]) -> str:
        if place[1] not in tables:
            raise Invalid(f"README.md asks for a table {place[1]}; there are {', '.join(tables)}")
        return f"<!-- rendered: {place[1]} -->\n{tables[place[1]]()}<!-- end -->"

    filled = _PLACE.sub(fill, text)
    if filled.count("<!-- rendered: ") != len(_PLACE.findall(text)):
        raise Invalid("a rendered place of README.md has no <!-- end -->")
    return filled


def services_table(services: Sequence[Service]) -> str:
    """What each service does, says, hears and answers."""
    return _table(
        ("service", "does", "says", "hears", "answers"),
        (
            (
                f"[{service.name}/](services/{service.name}/README.md)",
                service.summary,
                _names(service.publishes, service.name),
                _names(service.consumes, service.name),
                f"{len(service.answers)} questions" if service.answers else "",
            )
            for service in services
        ),
    )


def permissions_table() -> str:
    """What each permission allows, and who has it."""
    return _table(
        ("permission", "may", *ROLES),
        (
            (permission.name, permission.allows, *("yes" if role in permission.roles else "" for role in ROLES))
            for permission in PERMISSIONS
        ),
    )


def modules_table() -> str:
    """Every module by class and name: what it asks about, of whom, and whether a key is needed or helps."""
    from services.collector.manifest import read_manifests

    order = ("passive", "dns", "guess", "active")
    manifests = [file.manifest for file in read_manifests()]
    return _table(
        ("module", "class", "asks about", "source", "key"),
        (
            (
                f"[{manifest.id}](services/collector/modules/{manifest.id}.py)",
                manifest.activity,
                ", ".join(manifest.consumes),
                f"[{manifest.title}]({manifest.source})",
                "" if manifest.key is None else "needed" if manifest.key_required else "helps",
            )
            for manifest in sorted(manifests, key=lambda manifest: (order.index(manifest.activity), manifest.id))
        ),
    )


def _names(messages: Iterable[type[Struct]], service: str) -> str:
    """Messages by their short names, those of others with their owner's."""
    names = []
    for message in messages:
        _, _, owner, name, _ = message_type(message).split(".")
        names.append(name if owner == service else f"{owner}.{name}")
    return ", ".join(names)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
