"""Gives a report its form: PDF, HTML, Markdown or JSON. The same document has the same bytes in each, always."""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from services.contracts.resources.reports import ReportFormat
from services.kernel.service import Ports
from services.reporting.domain.reports.document import Document
from services.reporting.domain.reports.markdown import to_markdown
from services.reporting.domain.reports.plain import laid_out, visible
from services.reporting.usecases.typesetting import typeset

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES: Final = Path(__file__).parents[3] / "templates" / "reports"

_encode = msgspec.json.Encoder(order="deterministic").encode


async def render(ports: Ports, document: Document, form: ReportFormat) -> bytes:
    """The bytes of a report in a form."""
    match form:
        case "pdf":
            return await typeset(ports, document)
        case "html":
            return to_html(document).encode()
        case "md":
            return to_markdown(document).encode()
        case "json":
            return write_document(document)


def write_document(document: Document) -> bytes:
    """A document as its digest is taken."""
    return _encode(document)


def read_document(content: bytes) -> Document:
    return msgspec.json.decode(content, type=Document)


def to_html(document: Document) -> str:
    """A report as one page, which asks nobody for anything: its policy lets nothing in but its own style."""
    from markupsafe import Markup

    style = (TEMPLATES / "report.css").read_text("utf-8")
    return (
        _environment()
        .get_template("report.html")
        .render(
            document=laid_out(document, visible),
            style=Markup(style),  # noqa: S704  our own file
            style_digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
            tlp_class=document.tlp.partition("+")[0],
        )
    )


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
