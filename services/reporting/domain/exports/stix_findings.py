"""Findings in STIX 2.1: a note on what they are about, or an indicator where they say that it is malicious."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from services.contracts.claims import Entity
from services.contracts.resources.correlation import FindingView, Ground
from services.reporting.domain.exports.stix_extension import MIRAGE_IDENTITY
from services.reporting.domain.exports.stix_ids import mirage_id
from services.reporting.domain.exports.stix_objects import id_of
from services.reporting.domain.exports.times import stamp

#: Categories of rules that judge a thing to be hostile, and not weak or odd.
MALICIOUS: Final = frozenset({"malicious", "threat"})


def finding_object(view: FindingView, about: Sequence[Entity]) -> dict[str, Any]:
    """The object of a finding; ``about`` are those of its entities that are exported, one at least."""
    finding = view.finding
    pattern = pattern_of(about[0]) if finding.category in MALICIOUS else ""
    kind = "indicator" if pattern else "note"
    text = "\n\n".join(each for each in (view.description, view.advice, finding.reason) if each) or finding.title
    found: dict[str, Any] = {
        "type": kind,
        "spec_version": "2.1",
        "id": mirage_id(kind, f"finding|{finding.id.hex}"),
        "created_by_ref": MIRAGE_IDENTITY,
        "created": stamp(finding.first_found),
        "modified": stamp(max(finding.first_found, finding.last_found)),
        "confidence": finding.confidence,
        "labels": [f"severity:{finding.severity}", f"category:{finding.category}", f"status:{finding.status}"],
        "external_references": [
            {"source_name": "mirage:rule", "external_id": f"{finding.rule}@{finding.rule_version}"},
            *({"source_name": "reference", "url": each} for each in view.references if _is_address(each)),
            *_grounds(view.grounds),
        ],
    }
    if pattern:
        return found | {
            "name": finding.title,
            "description": text,
            "indicator_types": ["malicious-activity"],
            "pattern": pattern,
            "pattern_type": "stix",
            "valid_from": stamp(finding.first_found),
        }
    return found | {"abstract": finding.title, "content": text, "object_refs": list(dict.fromkeys(map(id_of, about)))}


def pattern_of(entity: Entity) -> str:
    """What to look for in traffic or on disks to see an entity; nothing where there is nothing to be seen."""
    form = _PATTERNS.get(entity.type)
    return form(*entity.key) if form else ""


def _compared(path: str) -> Callable[..., str]:
    return lambda value, *_: f"[{path} = '{_quoted(value)}']"


def _address(value: str) -> str:
    return f"[ipv{6 if ':' in value else 4}-addr:value = '{_quoted(value)}']"


def _network(value: str) -> str:
    return f"[ipv{6 if ':' in value else 4}-addr:value ISSUBSET '{_quoted(value)}']"


def _file(algorithm: str, digest: str) -> str:
    name = {"md5": "MD5", "sha1": "'SHA-1'", "sha256": "'SHA-256'", "sha512": "'SHA-512'"}[algorithm]
    return f"[file:hashes.{name} = '{digest}']"


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


_PATTERNS: Final[dict[str, Callable[..., str]]] = {
    "domain": _compared("domain-name:value"),
    "hostname": _compared("domain-name:value"),
    "url": _compared("url:value"),
    "email_address": _compared("email-addr:value"),
    "mac_address": _compared("mac-addr:value"),
    "certificate": _compared("x509-certificate:hashes.'SHA-256'"),
    "ip_address": _address,
    "netblock": _network,
    "file": _file,
}


def _grounds(grounds: Sequence[Ground]) -> list[dict[str, str]]:
    """Who has said what it rests on, and on which evidence record."""
    seen: dict[str, dict[str, str]] = {}
    for ground in grounds:
        for evidence in ground.evidence:
            seen.setdefault(evidence, {"source_name": " ".join(ground.modules) or "mirage", "external_id": evidence})
    return list(seen.values())


def _is_address(text: str) -> bool:
    return text.startswith(("https://", "http://"))
