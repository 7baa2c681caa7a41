"""What correlation answers."""

from collections.abc import Callable
from typing import Any, Final

from services.contracts import endpoints as e
from services.correlation.usecases import findings, paths
from services.kernel.calls import Endpoint

DOORS: Final[dict[Endpoint[Any, Any], Callable[..., Any]]] = {
    e.LIST_FINDINGS: findings.list_findings,
    e.GET_FINDING: findings.get_finding,
    e.SET_FINDING: findings.set_finding,
    e.GET_JUDGED: findings.get_judged,
    e.FIND_PATHS: paths.find_paths,
    e.READ_GRAPH: paths.read_graph,
}
