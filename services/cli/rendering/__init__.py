"""Files, and parts of files, that are made from declarations and committed: read them, never edit them."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from services.catalogue import load_services
from services.cli.rendering.asyncapi import asyncapi_document
from services.cli.rendering.jobs import render_job
from services.cli.rendering.permissions import render_intentions, render_policy
from services.cli.rendering.readme import fill_readme
from services.kernel.service import Service
from services.kernel.version import VERSION


class Rendered(Struct, frozen=True):
    """What a file is to contain; ``path`` is relative to the repository."""

    path: Path
    text: str


def render_all(root: Path) -> list[Rendered]:
    """Everything that is rendered into the repository at ``root``."""
    services = load_services()
    readme = root / "README.md"
    rendered = [
        Rendered(Path("services/contracts/asyncapi.json"), asyncapi_document(services)),
        *(each for service in services for each in _of_service(service, services)),
    ]
    if readme.exists():
        rendered.append(Rendered(Path("README.md"), fill_readme(readme.read_text("utf-8"), services)))
    return rendered


def _of_service(service: Service, services: Sequence[Service]) -> tuple[Rendered, ...]:
    """What Nomad and Consul are told of a service."""
    return (
        Rendered(Path(f"jobs/{service.name}.nomad.hcl"), render_job(service, VERSION)),
        Rendered(Path(f"consul/intentions/{service.name}.hcl"), render_intentions(service, services)),
        Rendered(Path(f"consul/policies/{service.name}.hcl"), render_policy(service)),
    )
