"""Verifies the bundle of a report, without asking anybody: what is altered, and which statements rest on it."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import IO, Any, Final, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct

from services.cli.bundle_archive import BrokenMember, BundleArchive
from services.contracts import bundles
from services.contracts.authorisations import AUTHORISATION_TYPE, AuthorisationStatement
from services.contracts.bundles import BODIES, CitedClaim, CitedStatement, Manifest, Member, ReportStatement
from services.contracts.evidence import record_digest
from services.contracts.resources import PublishedKeys, RecordView
from services.kernel.errors import Corrupt, Incompatible

T = TypeVar("T")

#: Bytes of a manifest, of keys, and of a signature.
MANIFEST_LARGEST, SMALL_LARGEST = 100_000_000, 500_000
#: Statements, and claims, that are looked at; a report has far fewer.
MOST: Final = 500_000


class Fault(Struct, frozen=True):
    """What is not as it was, and the statements of the report that rest on it; ``whole``: all that it says does."""

    what: str
    statements: tuple[CitedStatement, ...] = ()
    whole: bool = False


class Checked(Struct, frozen=True, kw_only=True):
    """What a bundle is, what was looked at, and what is wrong.

    ``key`` is the id of the key that signed, ``thumbprint`` of it (RFC 7638), ``known`` whether that key was given, and
    not just brought along.
    """

    manifest: Manifest
    key: str
    thumbprint: str
    known: bool
    members: int
    records: int
    bodies: int
    statements: int
    faults: tuple[Fault, ...]


def verify_bundle(file: IO[bytes], keys: Sequence[Mapping[str, Any]] | None = None) -> Checked:
    """Check all of a bundle; ``keys`` are those of the workspace (RFC 7517), where they are known.

    Raises:
        Corrupt: it is no bundle, or its manifest was not signed, or not by one of the keys.
        Incompatible: it has a form that is not known here.
    """
    archive = BundleArchive(file)
    for name in (bundles.MANIFEST, bundles.SIGNATURE, bundles.KEYS):
        if name not in archive.members:
            raise Corrupt(f"there is no {name} in it")
    try:
        written = archive.read(bundles.MANIFEST, MANIFEST_LARGEST)
        signed = archive.read(bundles.SIGNATURE, SMALL_LARGEST).decode("ascii", "replace")
        brought = archive.read(bundles.KEYS, SMALL_LARGEST)
    except BrokenMember as error:
        raise Corrupt("the manifest, its signature or its keys are not as they were written") from error
    published = _keys(brought) if keys is None else keys
    kid, thumbprint, manifest = _check_signature(written, signed, published)
    if manifest is None or manifest.form != bundles.FORM:
        raise Incompatible("this bundle has a form that a newer version writes")
    found = _Contents(archive, manifest)
    return Checked(
        manifest=manifest,
        key=kid,
        thumbprint=thumbprint,
        known=keys is not None,
        members=len(archive.members),
        records=len(found.records),
        bodies=sum(member.name.startswith(BODIES) for member in manifest.members),
        statements=len(found.statements),
        faults=(*found.faults(), *_faults_of_authorisation(archive, manifest, published)),
    )


def _check_signature(
    written: bytes, signed: str, keys: Sequence[Mapping[str, Any]]
) -> tuple[str, str, Manifest | None]:
    """See that one of the keys signed this manifest; return its id, its thumbprint, and what was signed.

    The manifest is none where it has a form that is not known.
    """
    from joserfc.jwk import OKPKey
    from joserfc.jws import extract_compact

    from services.kernel.signatures import verify

    statement = _decode(verify(signed, bundles.REPORT_TYPE, keys), ReportStatement)
    if statement is None:
        raise Corrupt("what was signed is no statement of a bundle")
    if statement.manifest != bundles.digest(written):
        raise Corrupt("the manifest is not the one that was signed: nothing in this bundle can be relied on")
    manifest = _decode(written, Manifest)
    said = (statement.workspace, statement.report, statement.scan, statement.as_of)
    if manifest is not None and said != (manifest.workspace, manifest.report, manifest.scan, manifest.as_of):
        raise Corrupt("what was signed is about another report")
    kid = str(extract_compact(signed.encode()).headers().get("kid"))
    key = next(each for each in keys if each.get("kid") == kid)
    return kid, OKPKey.import_key(dict(key)).thumbprint(), manifest


def _faults_of_authorisation(
    archive: BundleArchive, manifest: Manifest, keys: Sequence[Mapping[str, Any]]
) -> Iterator[Fault]:
    """What is wrong with the authorisation of the scan, if one is in it: it is signed by itself, for that scan."""
    from services.kernel.signatures import verify

    if bundles.AUTHORISATION not in archive.members:
        return
    try:
        signed = archive.read(bundles.AUTHORISATION, SMALL_LARGEST).decode("ascii", "replace")
        said = _decode(verify(signed, AUTHORISATION_TYPE, keys), AuthorisationStatement)
    except (BrokenMember, Corrupt):
        said = None
    if said is None:
        yield Fault("the authorisation was not signed by the workspace", whole=True)
    elif said.scan != manifest.scan:
        yield Fault("the authorisation is one of another scan")


def _keys(content: bytes) -> Sequence[Mapping[str, Any]]:
    found = _decode(content, PublishedKeys)
    if found is None:
        raise Corrupt("keys.json has no keys")
    return found.keys


class _Contents:
    """What is in a bundle whose manifest holds, read once, and what of it is not as the manifest says."""

    def __init__(self, archive: BundleArchive, manifest: Manifest) -> None:
        self._archive = archive
        self._members = {member.name: member for member in manifest.members}
        self._absent = frozenset(manifest.absent)
        #: Of each member with lines, the place of the first that is not as it was, and how many are not.
        self._altered: dict[str, tuple[int, int]] = {}
        self.statements = list(islice(self._read(bundles.STATEMENTS, CitedStatement), MOST))
        self._claims = {claim.number: claim for claim in islice(self._read(bundles.CLAIMS, CitedClaim), MOST)}
        self.records: dict[str, str | None] = {}
        self._unproven: set[str] = set()
        for view in self._read(bundles.RECORDS, RecordView):
            if view.record.id.hex() == view.id and record_digest(view.record).hex() == view.id:
                self.records[view.id] = None if view.record.blob is None else view.record.blob.hex()
            else:
                self._unproven.add(view.id)
        self._entities = {
            fact.get("id") or ""
            for fact in self._read(bundles.FACTS, dict)
            if fact.get("layer") == "entity" and isinstance(fact.get("id"), str)
        }
        self._resting = self._index()

    def faults(self) -> Iterator[Fault]:
        """All that is wrong, member by member."""
        named = {bundles.MANIFEST, bundles.SIGNATURE, bundles.KEYS}
        for name in self._archive.members.keys() - self._members.keys() - named:
            yield Fault(f"{name} is in the archive, and the manifest knows nothing of it")
        for name, member in self._members.items():
            if name not in self._archive.members:
                yield Fault(f"{name} is missing", self._on(name), whole=not name.startswith(BODIES))
            elif name in bundles.LINED:
                yield from self._faults_of_lines(name)
            elif not self._is_sound(member):
                yield Fault(f"{name} was altered", self._on(name), whole=not name.startswith(BODIES))
        yield from self._faults_of_evidence()

    def _is_sound(self, member: Member) -> bool:
        whole, size = hashlib.sha256(), 0
        try:
            for piece in self._archive.pieces(member.name):
                whole.update(piece)
                size += len(piece)
        except BrokenMember:
            return False
        name = member.name.removeprefix(BODIES)
        right = name == member.name or name == whole.hexdigest()
        return right and (size, whole.hexdigest()) == (member.size, member.sha256)

    def _faults_of_lines(self, name: str) -> Iterator[Fault]:
        first, count = self._altered.get(name, (0, 0))
        if not count and not self._is_sound(self._members[name]):
            yield Fault(f"{name} was altered", self._on(name), whole=True)
        elif count:
            lines = f"line {first}" if count == 1 else f"{count:,} lines from line {first} on"
            yield Fault(f"{name} was altered: {lines}", self._on(name))

    def _faults_of_evidence(self) -> Iterator[Fault]:
        """Records that are cited and are not there, or not what their ids are made of."""
        cited = dict.fromkeys(record for claim in self._claims.values() for record in claim.evidence)
        for record in sorted(self._unproven):
            yield Fault(f"evidence record {record} is not what its id is made of", self._resting.get(record, ()))
        if bundles.RECORDS in self._altered:
            return
        for record in cited:
            if record not in self.records and record not in self._absent | self._unproven:
                yield Fault(f"evidence record {record} is cited and not there", self._resting.get(record, ()))

    def _on(self, name: str) -> tuple[CitedStatement, ...]:
        """The statements that rest on what is wrong in a member."""
        if name.startswith(BODIES):
            blob = name.removeprefix(BODIES)
            return self._on_any(record for record, body in self.records.items() if body == blob)
        if name == bundles.RECORDS:
            cited = {record for claim in self._claims.values() for record in claim.evidence}
            return self._on_any(cited - self.records.keys() - self._absent)
        if name == bundles.FACTS:
            told = {claim.entity for claim in self._claims.values()}
            return self._on_any(f"about {entity}" for entity in told - self._entities)
        if name == bundles.CLAIMS:
            return tuple(said for said in self.statements if set(said.claims) - self._claims.keys())
        return ()

    def _on_any(self, artefacts: Iterable[str]) -> tuple[CitedStatement, ...]:
        return tuple(dict.fromkeys(said for each in artefacts for said in self._resting.get(each, ())))

    def _index(self) -> dict[str, tuple[CitedStatement, ...]]:
        """Statements by the evidence records, and by the entities, that they rest on."""
        found: dict[str, list[CitedStatement]] = {}
        for said in self.statements:
            claims = [self._claims[number] for number in said.claims if number in self._claims]
            for artefact in dict.fromkeys(
                each for claim in claims for each in (*claim.evidence, f"about {claim.entity}")
            ):
                found.setdefault(artefact, []).append(said)
        return {artefact: tuple(statements) for artefact, statements in found.items()}

    def _read(self, name: str, form: type[T]) -> Iterator[T]:
        """The lines of a member that are as they were; notes where the others begin, and is done at one too many."""
        member = self._members.get(name)
        if member is None or name not in self._archive.members:
            return
        place = 0
        for place, line in enumerate(self._archive.lines(name), 1):
            made = None
            if place <= len(member.lines) and bundles.digest(line) == member.lines[place - 1]:
                made = _decode(line, form)
            if made is None:
                self._note_altered(name, place)
            else:
                yield made
            if place > len(member.lines):
                return
        if place < len(member.lines):
            self._note_altered(name, place + 1, len(member.lines) - place)

    def _note_altered(self, name: str, place: int, count: int = 1) -> None:
        first, before = self._altered.get(name, (place, 0))
        self._altered[name] = (first, before + count)


def _decode(content: bytes, form: type[T]) -> T | None:
    try:
        return msgspec.json.decode(content, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def key_of(content: bytes) -> Sequence[Mapping[str, Any]]:
    """The keys of a file: a set of them (RFC 7517), or one alone.

    Raises:
        Corrupt: it has none.
    """
    found = _decode(content, PublishedKeys)
    if found is not None and found.keys:
        return found.keys
    one = _decode(content, dict[str, Any])
    if one is None or "kid" not in one:
        raise Corrupt("this file has no key")
    return (one,)


def owner_of(file: IO[bytes]) -> UUID:
    """The workspace that a bundle says it is of, unverified: for who is to ask for its keys."""
    archive = BundleArchive(file)
    try:
        manifest = _decode(archive.read(bundles.MANIFEST, MANIFEST_LARGEST), Manifest)
    except (BrokenMember, KeyError) as error:
        raise Corrupt("its manifest is not as it was written") from error
    if manifest is None:
        raise Corrupt("its manifest is not as it was written")
    return manifest.workspace
