"""What a module says of itself: a literal `MANIFEST` at the top of its file, read without importing the file."""

import ast
import hashlib
import re
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

Activity = Literal["passive", "dns", "guess", "active"]
Period = Literal["hour", "day", "month"]

MODULES: Final = Path(__file__).parent / "modules"
_MANIFEST: Final = re.compile(rb"^MANIFEST = Manifest\(.*?^\)$", re.MULTILINE | re.DOTALL)


class BadManifest(Exception):
    """A module file whose manifest is missing, not literal or not sound; names the file and the reason."""


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The declaration of one module.

    ``activity``: passive (third parties only), dns (recursive resolvers only), guess (brute force, permutations),
    active (touches the target or its name servers).
    ``consumes``: what a work item's subject may be: entity types, relation types, ``names`` (the set of known names) or
    ``level`` (a level of the DNS with names below it).
    ``produces``: entity and relation types that `parse` may claim; anything else fails the work item.
    ``format``: where the source documents its answer, for whoever mends the parser.
    ``hosts``: names the module may talk to over HTTP or WHOIS (``*.`` patterns allowed; ``*`` beside others where a
    public directory says which server to ask, as in RDAP); empty for a module that talks to its subject.
    ``affiliates``: whether it is worth asking about what is not in scope itself: addresses that a target resolves to,
    their networks, its mail and name servers. ``rate`` and ``burst``: requests a second to the source over all scans,
    0 for no limit, and how many at once; ``quota``: requests an hour, a day, a month (UTC); ``key_rate`` and
    ``key_quota``: the same for who has a key, where that differs; ``budget``: the name of the allowance, for modules
    that share one. ``concurrency``: items of this module at a time in one process; ``cost``: requests one item usually
    makes; ``freshness``: seconds that an answer stays good; ``timeout``: seconds that one item may take.
    ``options``: what a workspace may set, each with its default, whose type a value must have; a number with a default
    of 0 or more is a count and is never set below 0. ``forms``: regular expressions that texts match in full.
    ``key_adds``: what is had with the key and not without it, for whoever decides whether to get one.
    """

    id: str
    version: int
    title: str
    activity: Activity
    source: str
    format: str
    consumes: tuple[str, ...]
    produces: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    affiliates: bool = True
    options: dict[str, bool | int | float | str] = {}
    forms: dict[str, str] = {}
    key: str | None = None
    key_required: bool = False
    rate: float = 1.0
    burst: int = 1
    quota: dict[Period, int] = {}
    key_rate: float = 0.0
    key_quota: dict[Period, int] = {}
    budget: str = ""
    concurrency: int = 1
    cost: float = 1.0
    freshness: int = 86_400
    timeout: float = 120.0
    licence: str = "unknown"
    key_adds: str = ""


class ModuleFile(Struct, frozen=True):
    """A manifest and the file that it stands in; ``digest`` is of the file's bytes."""

    manifest: Manifest
    path: Path
    digest: str


def read_manifest(path: Path) -> ModuleFile:
    """Read the manifest of a module without running a line of it.

    Raises:
        BadManifest: there is none, it is not literal, or it is not sound.
    """
    try:
        content = path.read_bytes()
        manifest = msgspec.convert(_declared(content, path.name), Manifest, strict=False)
    except (SyntaxError, ValueError, msgspec.ValidationError) as error:
        raise BadManifest(f"{path.name}: {error}") from error
    if manifest.id != path.stem:
        raise BadManifest(f"{path.name}: its id is {manifest.id}")
    if bool(manifest.key) != bool(manifest.key_adds.strip()):
        raise BadManifest(f"{path.name}: a key and key_adds, what is had with it, are said together or not at all")
    return ModuleFile(manifest=manifest, path=path, digest=digest_of_file(content))


def digest_of_file(content: bytes) -> str:
    """What a module's file is known by."""
    return hashlib.sha256(content).hexdigest()[:16]


def read_manifests(folder: Path = MODULES) -> list[ModuleFile]:
    """Read every module of ``folder``, by id."""
    return [read_manifest(path) for path in sorted(folder.glob("[!_]*.py"))]


def _declared(content: bytes, name: str) -> dict[str, Any]:
    """The arguments of `MANIFEST`; only its own lines are parsed, since every start reads every module."""
    found = _MANIFEST.search(content)
    if found is None:
        raise ValueError("no MANIFEST = Manifest(...)")
    assignment = ast.parse(found.group(), filename=name).body[0]
    assert isinstance(assignment, ast.Assign)
    call = assignment.value
    assert isinstance(call, ast.Call)
    return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
