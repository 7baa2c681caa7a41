"""What Mirage adds to STIX: one extension-definition, with its schema beside this file, and the markings of TLP 2.0."""

from functools import cache
from pathlib import Path
from typing import Any, Final

from services.contracts.resources.exports import Tlp
from services.reporting.domain.exports.stix_ids import mirage_id

SCHEMA: Final = Path(__file__).parent / "stix_extension.json"
EXTENSION: Final = "extension-definition--7d2fb5a0-3c4e-5b0f-9a53-6f1f6a3d1c52"
#: When the extension was published, and changed last: who has it knows by that whether it is another.
PUBLISHED: Final = "2026-11-30T00:00:00.000Z"
MIRAGE_IDENTITY: Final = mirage_id("identity", "mirage")

_TLP_EXTENSION: Final = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
#: The markings that OASIS has published for everybody to use.
_TLP: Final[dict[Tlp, tuple[str, str]]] = {
    "clear": ("marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487", "clear"),
    "green": ("marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb", "green"),
    "amber": ("marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421", "amber"),
    "amber-strict": ("marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003", "amber+strict"),
    "red": ("marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1", "red"),
}


def marking(tlp: Tlp) -> dict[str, Any]:
    """The marking of TLP 2.0."""
    identity, level = _TLP[tlp]
    return {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": identity,
        "created": "2022-10-01T00:00:00.000Z",
        "name": f"TLP:{level.upper()}",
        "extensions": {_TLP_EXTENSION: {"extension_type": "property-extension", "tlp_2_0": level}},
    }


@cache
def mirage() -> dict[str, Any]:
    """Who says what the extension is."""
    return {
        "type": "identity",
        "spec_version": "2.1",
        "id": MIRAGE_IDENTITY,
        "created": PUBLISHED,
        "modified": PUBLISHED,
        "name": "Mirage",
        "identity_class": "system",
    }


@cache
def definition() -> dict[str, Any]:
    """The extension-definition, of which the schema is a part: nothing has to be fetched to read it."""
    return {
        "type": "extension-definition",
        "spec_version": "2.1",
        "id": EXTENSION,
        "created_by_ref": MIRAGE_IDENTITY,
        "created": PUBLISHED,
        "modified": PUBLISHED,
        "name": "Mirage",
        "description": "Observables that STIX lacks, and what Mirage says of entities and relations beyond it.",
        "schema": SCHEMA.read_text("utf-8"),
        "version": "1.0.0",
        "extension_types": ["new-sco", "property-extension"],
    }
