"""Files, and parts of files, that are made from declarations and committed: read them, never edit them."""

from pathlib import Path

from msgspec import Struct

from services.catalogue import load_services
from services.cli.rendering.asyncapi import asyncapi_document
from services.cli.rendering.readme import fill_readme


class Rendered(Struct, frozen=True):
    """What a file is to contain; ``path`` is relative to the repository."""

    path: Path
    text: str


def render_all(root: Path) -> list[Rendered]:
    """Everything that is rendered into the repository at ``root``."""
    services = load_services()
    readme = root / "README.md"
    rendered = [Rendered(Path("services/contracts/asyncapi.json"), asyncapi_document(services))]
    if readme.exists():
        rendered.append(Rendered(Path("README.md"), fill_readme(readme.read_text("utf-8"), services)))
    return rendered
