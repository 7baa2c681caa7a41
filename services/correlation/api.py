"""What correlation answers."""

from collections.abc import Callable
from typing import Any, Final

from services.contracts import endpoints as e
from services.correlation.usecases import confidence, decisions, findings, paths, risks, rules, suppressions, trying
from services.kernel.calls import Endpoint

DOORS: Final[dict[Endpoint[Any, Any], Callable[..., Any]]] = {
    e.LIST_FINDINGS: findings.list_findings,
    e.GET_FINDING: findings.get_finding,
    e.SET_FINDING: findings.set_finding,
    e.GET_JUDGED: findings.get_judged,
    e.SWEPT_BY_CORRELATION: findings.swept,
    e.FIND_PATHS: paths.find_paths,
    e.READ_GRAPH: paths.read_graph,
    e.GET_CONFIDENCE: confidence.get_confidence,
    e.GET_POLICY: confidence.get_policy,
    e.SET_POLICY: confidence.set_policy,
    e.LIST_HYPOTHESES: decisions.list_hypotheses,
    e.DECIDE_HYPOTHESIS: decisions.decide_hypothesis,
    e.GET_CLUSTER: decisions.get_cluster,
    e.LIST_RULES: rules.list_rules,
    e.GET_RULE: rules.get_rule,
    e.CHECK_RULE: trying.check_rule,
    e.BACKTEST_RULE: trying.backtest_rule,
    e.WRITE_RULE: rules.write_rule,
    e.SET_RULE: rules.set_rule,
    e.REMOVE_RULE: rules.remove_rule,
    e.EXPLAIN_ABSENCE: trying.explain_absence,
    e.LIST_SUPPRESSIONS: suppressions.list_suppressions,
    e.SUPPRESS: suppressions.suppress,
    e.LIFT_SUPPRESSION: suppressions.lift_suppression,
    e.GET_RISKS: risks.get_risks,
}
