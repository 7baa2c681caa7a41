"""What storage is asked."""

from typing import Final

from services.contracts import resources as r
from services.contracts.resources.storage import Facts, FactsOf, FactsQuery
from services.kernel.calls import Endpoint, Nothing

FIND_ENTITIES: Final = Endpoint(
    service="storage", name="find_entities", method="GET", path="/v1/entities", needs="results.read",
    takes=r.SearchQuery, answers=r.SearchPage, summary="Search entities.",
)  # fmt: skip
GET_ENTITY: Final = Endpoint(
    service="storage", name="get_entity", method="GET", path="/v1/entity", needs="results.read",
    takes=r.EntityQuery, answers=tuple[r.EntityView, ...],
    summary="Show entities of a value: what is said of them, by whom, from which evidence.",
)  # fmt: skip
GET_STORED: Final = Endpoint(
    service="storage", name="get_stored", method="GET", path="/v1/scans/{scan}/stored", needs="results.read",
    takes=r.ScanId, answers=r.Stored, summary="Say how much of a scan storage has.",
)  # fmt: skip
SWEPT_BY_STORAGE: Final = Endpoint(
    service="storage", name="swept_by_storage", method="GET", path="/v1/scans/{scan}/swept/storage",
    needs="scans.delete",
    takes=r.ScanId, answers=r.Swept, summary="Say whether nothing is left of the claims of a deleted scan.",
)  # fmt: skip
DIFF: Final = Endpoint(
    service="storage", name="diff", method="GET", path="/v1/diff", needs="results.read",
    takes=r.DiffQuery, answers=r.Change, summary="Compare two scans.", streams=True,
)  # fmt: skip
DIFF_INSTANTS: Final = Endpoint(
    service="storage", name="diff_instants", method="GET", path="/v1/diff/instants", needs="results.read",
    takes=r.InstantsQuery, answers=r.Change, summary="Compare what was known at two instants.", streams=True,
)  # fmt: skip
FIND_RECORDS: Final = Endpoint(
    service="storage", name="find_records", method="GET", path="/v1/records/{digest}", needs="evidence.read",
    takes=r.RecordQuery, answers=tuple[r.RecordView, ...], summary="Find evidence records.",
)  # fmt: skip
LIST_RECORDS: Final = Endpoint(
    service="storage", name="list_records", method="GET", path="/v1/scans/{scan}/records", needs="evidence.read",
    takes=r.ScanId, answers=r.RecordView, summary="List the evidence records of a scan.", streams=True,
)  # fmt: skip
LIST_CLAIMS: Final = Endpoint(
    service="storage", name="list_claims", method="GET", path="/v1/scans/{scan}/claims", needs="results.read",
    takes=r.ClaimsQuery, answers=r.ClaimView, summary="List claims of a scan, in the order of their keys.",
    streams=True,
)  # fmt: skip
RETRACT: Final = Endpoint(
    service="storage", name="retract", method="POST", path="/v1/retractions", needs="results.retract",
    takes=r.Retract, answers=r.Retracted, summary="Withdraw claims, or restore them; say so batch by batch.",
    streams=True,
)  # fmt: skip
LIST_RETRACTIONS: Final = Endpoint(
    service="storage", name="list_retractions", method="GET", path="/v1/retractions", needs="results.read",
    takes=Nothing, answers=tuple[r.Retraction, ...], summary="List what is withdrawn, since when and why.",
)  # fmt: skip
READ_FACTS: Final = Endpoint(
    service="storage", name="read_facts", method="GET", path="/v1/scans/{scan}/facts", needs="results.read",
    takes=FactsQuery, answers=Facts, streams=True,
    summary="Read what a scan says: each entity with its attributes, followed by the relations from it.",
)  # fmt: skip
READ_FACTS_OF: Final = Endpoint(
    service="storage", name="read_facts_of", method="POST", path="/v1/scans/{scan}/facts", audited=False,
    takes=FactsOf, answers=Facts, streams=True, summary="Read what a scan says of some entities and relations.",
)  # fmt: skip
