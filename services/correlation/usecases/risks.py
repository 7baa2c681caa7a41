"""How exposed the entities of a scan are, and all that it was about."""

from services.contracts.findings import Severity
from services.contracts.resources.correlation import Named, Risk, RiskQuery, Risks
from services.correlation.domain.risk import score_of
from services.correlation.store import listing
from services.correlation.store.listing import Wanted
from services.correlation.usecases.findings import check_scan
from services.kernel.calls import Caller
from services.kernel.messages import now
from services.kernel.service import Ports

#: How many findings there are of a severity and a confidence.
Kinds = dict[tuple[Severity, int], int]
#: Findings that are read at once.
PAGE = 1_000


async def get_risks(ports: Ports, caller: Caller, query: RiskQuery) -> Risks:
    """The entities that findings are about, those worst off first, and all findings together."""
    await check_scan(ports, caller, query.scan)
    subjects: dict[Named, Kinds] = {}
    whole: Kinds = {}
    wanted, at = Wanted(), now()
    async with ports.sql.read() as view:
        while True:
            rows = await listing.list_findings(view, caller.workspace, query.scan, wanted, at=at, limit=PAGE)
            for row in rows:
                kind = (row.severity, row.confidence)
                of = subjects.setdefault(row.entities[0], {})
                of[kind] = of.get(kind, 0) + 1
                whole[kind] = whole.get(kind, 0) + 1
            if len(rows) < PAGE:
                break
            wanted = listing.further(wanted, rows[-1])
    risks = sorted((_risk(entity, kinds) for entity, kinds in subjects.items()), key=_order)
    return Risks(whole=_risk(None, whole), entities=tuple(risks[: query.limit]))


def _risk(entity: Named | None, kinds: Kinds) -> Risk:
    counts: dict[Severity, int] = {}
    for (severity, _), count in kinds.items():
        counts[severity] = counts.get(severity, 0) + count
    each = (kind for kind, count in kinds.items() for _ in range(min(count, PAGE)))
    return Risk(entity=entity, score=score_of(each), counts=counts)


def _order(risk: Risk) -> tuple[int, str, str]:
    assert risk.entity is not None
    return -risk.score, risk.entity.type, risk.entity.value
