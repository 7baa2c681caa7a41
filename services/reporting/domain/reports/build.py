"""Makes a document of what a report is made from, by the template for its readers."""

from collections.abc import Callable
from typing import Final

from services.contracts.bundles import Template
from services.reporting.domain.reports import evidence, executive, technical
from services.reporting.domain.reports.citing import Citations
from services.reporting.domain.reports.document import FORM, Document, Section
from services.reporting.domain.reports.inputs import Inputs
from services.reporting.domain.reports.parts import front

_SECTIONS: Final[dict[Template, Callable[[Inputs, Citations], tuple[Section, ...]]]] = {
    "executive": executive.sections,
    "technical": technical.sections,
    "evidence": evidence.sections,
}


def build(inputs: Inputs) -> Document:
    """The document of a report: the same inputs make the same one."""
    cited = Citations(inputs.findings)
    return Document(
        form=FORM,
        template=inputs.template,
        tlp=inputs.tlp,
        as_of=inputs.as_of,
        contents=inputs.template != "executive",
        front=front(inputs),
        sections=_SECTIONS[inputs.template](inputs, cited),
        findings=cited.findings,
        claims=cited.claims,
    )
