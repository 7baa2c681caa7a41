"""What correlation answers."""

from collections.abc import Callable
from typing import Any, Final

from services.contracts import endpoints as e
from services.correlation.usecases import confidence, decisions, findings, paths
from services.kernel.calls import Endpoint

DOORS: Final[dict[Endpoint[Any, Any], Callable[..., Any]]] = {
    e.LIST_FINDINGS: findings.list_findings,
    e.GET_FINDING: findings.get_finding,
    e.SET_FINDING: findings.set_finding,
    e.GET_JUDGED: findings.get_judged,
    e.FIND_PATHS: paths.find_paths,
    e.READ_GRAPH: paths.read_graph,
    e.GET_CONFIDENCE: confidence.get_confidence,
    e.GET_POLICY: confidence.get_policy,
    e.SET_POLICY: confidence.set_policy,
    e.LIST_HYPOTHESES: decisions.list_hypotheses,
    e.DECIDE_HYPOTHESIS: decisions.decide_hypothesis,
    e.GET_CLUSTER: decisions.get_cluster,
}
