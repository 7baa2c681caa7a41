"""Makes new modules and services of the files in `scaffolds/`, and enters them where modules and services are listed.

A scaffold mirrors the tree; ``__name__`` in a path and ``$name`` in a text stand for the name.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from string import Template
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from services.kernel.errors import Conflict, Invalid

SCAFFOLDS: Final = Path(__file__).parent / "scaffolds"
SUFFIX: Final = ".template"

_IMPORTS: Final = re.compile(r"(?:^from services\.\S* import [^(\n]+\n)+", re.MULTILINE)
_IMPORT: Final = re.compile(r"from (\S+) import (.+)")


def write_scaffold(scaffold: str, root: Path, values: Mapping[str, str]) -> list[Path]:
    """Write the files of a scaffold into the repository at ``root``; return their paths in it.

    Raises:
        Conflict: one of them is there already; nothing was written.
        Invalid: the repository cannot be written.
    """
    folder = SCAFFOLDS / scaffold
    texts: dict[Path, str] = {}
    for template in sorted(folder.rglob(f"*{SUFFIX}")):
        path = Path(str(template.relative_to(folder)).replace("__name__", values["name"]).removesuffix(SUFFIX))
        texts[path] = fill(template, values)
    for path in texts:
        if (root / path).exists():
            raise Conflict(f"{path} is there already")
    write_all(root, texts)
    return list(texts)


def write_all(root: Path, texts: Mapping[Path, str]) -> None:
    """Write files below ``root``.

    Raises:
        Invalid: one cannot be written; those that are new and were written are removed.
    """
    new: list[Path] = []
    try:
        for path, text in texts.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            if not (root / path).exists():
                new.append(root / path)
            (root / path).write_text(text, "utf-8")
    except OSError as error:
        for written in new:
            with suppress(OSError):
                written.unlink()
        raise Invalid(f"{path} cannot be written: {error.strerror}") from error


def fill(template: Path, values: Mapping[str, str]) -> str:
    """The text of a template with ``values``, its imports in order, whatever the name is."""
    return sort_imports(Template(template.read_text("utf-8")).substitute(values))


def sort_imports(text: str) -> str:
    """Put imports of Mirage's own modules that stand together into the order of their names."""

    def sort(block: re.Match[str]) -> str:
        lines = {}
        for module, names in _IMPORT.findall(block[0]):
            lines[module] = f"from {module} import {', '.join(sorted(names.split(', ')))}\n"
        return "".join(lines[module] for module in sorted(lines))

    return _IMPORTS.sub(sort, text)


def enter_service(name: str, root: Path, values: Mapping[str, str]) -> list[Path]:
    """Enter a new service where services, their messages and their questions are listed; return what was changed."""
    fact, allowed = (fill(SCAFFOLDS / "service" / part, values) for part in ("facts.py.part", "permissions.txt.part"))
    edits: dict[str, Callable[[str], str]] = {
        "services/catalogue.py": lambda text: _append_name(text, name),
        "pyproject.toml": lambda text: _append_package(text, name),
        "services/contracts/facts.py": lambda text: text + fact,
        "services/contracts/endpoints/__init__.py": lambda text: _export_questions(text, values),
        "tests/services/permissions.txt": lambda text: text + allowed,
    }
    changed = {Path(path): edit((root / path).read_text("utf-8")) for path, edit in edits.items()}
    write_all(root, changed)
    return list(changed)


def _append_name(catalogue: str, name: str) -> str:
    """One more line in the tuple of services."""
    return _replace_once(catalogue, r"(SERVICES: Final = \(\n(?:    \"\w+\",\n)+)\)", rf'\1    "{name}",\n)')


def _append_package(project: str, name: str) -> str:
    """The service after the last one, in every rule on imports that names it."""
    before, mark, rules = project.partition("[tool.importlinter]")
    independent = re.search(r"^modules = \[.*(\"services\.\w+\")\]$", rules, re.MULTILINE)
    if independent is None:
        raise Invalid("pyproject.toml has no rule that services are independent; enter the service by hand")
    return before + mark + rules.replace(independent[1], f'{independent[1]}, "services.{name}"')


def _export_questions(endpoints: str, values: Mapping[str, str]) -> str:
    """The questions of the service among all others, in their order."""
    name, questions = values["name"], [f"{verb}_{values['NAME']}" for verb in ("ADD", "LIST")]
    modules = re.findall(r"from services\.contracts\.endpoints\.(\w+) import ", endpoints)
    after = [module for module in modules if module > name]
    line = f"from services.contracts.endpoints.{name} import {', '.join(questions)}\n"
    place = rf"(from services\.contracts\.endpoints\.{after[0]} import )" if after else r"(\n__all__ = \[)"
    text = _replace_once(endpoints, place, rf"{line}\1")
    listed = sorted({*re.findall(r'^    "(\w+)",$', text, re.MULTILINE), *questions})
    return _replace_once(
        text,
        r"__all__ = \[\n(?:    \"\w+\",\n)+\]",
        "__all__ = [\n" + "".join(f'    "{each}",\n' for each in listed) + "]",
    )


def _replace_once(text: str, pattern: str, replacement: str) -> str:
    changed, count = re.subn(pattern, replacement, text, count=1, flags=re.MULTILINE)
    if count != 1:
        raise Invalid("a file that lists services is not as the scaffold knows it; enter the service by hand")
    return changed


def name_values(name: str) -> dict[str, str]:
    """What templates may say of a name."""
    return {
        "name": name,
        "Name": name.capitalize(),
        "NAME": name.upper(),
        "title": name.replace("_", " ").capitalize(),
        "host": f"{name.replace('_', '-')}.example",
        "namespace": str(uuid5(NAMESPACE_URL, f"urn:mirage:service:{name}")),
    }
