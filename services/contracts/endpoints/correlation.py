"""What correlation is asked."""

from typing import Final

from services.contracts.resources import ScanId, Swept
from services.contracts.resources import confidence as c
from services.contracts.resources import correlation as r
from services.contracts.resources import identity as i
from services.kernel.calls import Endpoint, Nothing

LIST_FINDINGS: Final = Endpoint(
    service="correlation", name="list_findings", method="GET", path="/v1/scans/{scan}/findings", needs="results.read",
    takes=r.FindingsQuery, answers=r.FindingPage, summary="List the findings of a scan, the worst first.",
)  # fmt: skip
GET_FINDING: Final = Endpoint(
    service="correlation", name="get_finding", method="GET", path="/v1/findings/{finding}", needs="results.read",
    takes=r.FindingRef, answers=r.FindingView, summary="Show a finding, and what it rests on.",
)  # fmt: skip
SET_FINDING: Final = Endpoint(
    service="correlation", name="set_finding", method="POST", path="/v1/findings/{finding}/status",
    needs="findings.judge", takes=r.SetFinding, answers=r.FindingRow, summary="Say where one stands with a finding.",
)  # fmt: skip
GET_JUDGED: Final = Endpoint(
    service="correlation", name="get_judged", method="GET", path="/v1/scans/{scan}/judged", needs="results.read",
    takes=ScanId, answers=r.JudgedOf, summary="Say how far a scan was judged.",
)  # fmt: skip
SWEPT_BY_CORRELATION: Final = Endpoint(
    service="correlation", name="swept_by_correlation", method="GET", path="/v1/scans/{scan}/swept/correlation",
    needs="scans.delete",
    takes=ScanId, answers=Swept, summary="Say whether nothing is left of the graph and findings of a deleted scan.",
)  # fmt: skip
FIND_PATHS: Final = Endpoint(
    service="correlation", name="find_paths", method="GET", path="/v1/scans/{scan}/paths", needs="results.read",
    takes=r.PathsQuery, answers=tuple[r.PathView, ...], summary="Say how two entities are connected.",
)  # fmt: skip
READ_GRAPH: Final = Endpoint(
    service="correlation", name="read_graph", method="GET", path="/v1/scans/{scan}/graph", needs="results.read",
    takes=r.GraphQuery, answers=r.GraphPiece, streams=True, summary="Read the graph of a scan, or of a part of it.",
)  # fmt: skip
GET_CONFIDENCE: Final = Endpoint(
    service="correlation", name="get_confidence", method="GET", path="/v1/confidence", needs="results.read",
    takes=c.ConfidenceQuery, answers=tuple[c.ConfidenceView, ...],
    summary="Say how sure one can be of what is said of a thing, and what makes the number.",
)  # fmt: skip
GET_POLICY: Final = Endpoint(
    service="correlation", name="get_policy", method="GET", path="/v1/policy", needs="results.read",
    takes=Nothing, answers=c.PolicyView, summary="Show how reliable sources are held to be, and how fast words fade.",
)  # fmt: skip
SET_POLICY: Final = Endpoint(
    service="correlation", name="set_policy", method="POST", path="/v1/policy", needs="findings.judge",
    takes=c.PolicyChange, answers=c.PolicyView, summary="Change how reliable sources are held to be.",
)  # fmt: skip
LIST_HYPOTHESES: Final = Endpoint(
    service="correlation", name="list_hypotheses", method="GET", path="/v1/hypotheses", needs="results.read",
    takes=i.HypothesesQuery, answers=i.HypothesesPage, summary="List which things may be one, the likeliest first.",
)  # fmt: skip
DECIDE_HYPOTHESIS: Final = Endpoint(
    service="correlation", name="decide_hypothesis", method="POST", path="/v1/hypotheses/{hypothesis}/verdict",
    needs="findings.judge", takes=i.DecideHypothesis, answers=i.HypothesisView,
    summary="Say that two things are one, or two, or take that back.",
)  # fmt: skip
GET_CLUSTER: Final = Endpoint(
    service="correlation", name="get_cluster", method="GET", path="/v1/clusters", needs="results.read",
    takes=i.ClusterQuery, answers=tuple[i.ClusterView, ...], summary="Show what a thing was decided to be one with.",
)  # fmt: skip
LIST_RULES: Final = Endpoint(
    service="correlation", name="list_rules", method="GET", path="/v1/rules", needs="results.read",
    takes=Nothing, answers=tuple[r.RuleRow, ...], summary="List rules: those that come with Mirage, and one's own.",
)  # fmt: skip
GET_RULE: Final = Endpoint(
    service="correlation", name="get_rule", method="GET", path="/v1/rules/{rule}", needs="results.read",
    takes=r.RuleRef, answers=r.RuleView, summary="Show a rule.",
)  # fmt: skip
CHECK_RULE: Final = Endpoint(
    service="correlation", name="check_rule", method="POST", path="/v1/rules/check", needs="results.read",
    takes=r.WrittenRule, answers=r.CheckedRule, summary="Check a rule, and run its tests.", audited=False,
)  # fmt: skip
BACKTEST_RULE: Final = Endpoint(
    service="correlation", name="backtest_rule", method="POST", path="/v1/rules/backtest", needs="results.read",
    takes=r.Backtest, answers=r.Backtested, summary="Say what a rule would have found.", audited=False, streams=True,
)  # fmt: skip
WRITE_RULE: Final = Endpoint(
    service="correlation", name="write_rule", method="POST", path="/v1/rules", needs="findings.judge",
    takes=r.WrittenRule, answers=r.RuleRow, summary="Keep a rule of one's own, or a newer text of it.",
)  # fmt: skip
SET_RULE: Final = Endpoint(
    service="correlation", name="set_rule", method="POST", path="/v1/rules/{rule}/enabled", needs="findings.judge",
    takes=r.SetRule, answers=r.RuleRow, summary="Let a rule be in force, or not.",
)  # fmt: skip
REMOVE_RULE: Final = Endpoint(
    service="correlation", name="remove_rule", method="DELETE", path="/v1/rules/{rule}", needs="findings.judge",
    takes=r.RuleRef, answers=Nothing, summary="Remove a rule of one's own.",
)  # fmt: skip
EXPLAIN_ABSENCE: Final = Endpoint(
    service="correlation", name="explain_absence", method="GET", path="/v1/rules/{rule}/why-not",
    needs="results.read", takes=r.WhyNotQuery, answers=r.WhyNot,
    summary="Say why a rule did not fire on an entity: the first condition that did not hold.",
)  # fmt: skip
LIST_SUPPRESSIONS: Final = Endpoint(
    service="correlation", name="list_suppressions", method="GET", path="/v1/suppressions", needs="results.read",
    takes=Nothing, answers=tuple[r.Suppression, ...], summary="List what is not shown, and why.",
)  # fmt: skip
SUPPRESS: Final = Endpoint(
    service="correlation", name="suppress", method="POST", path="/v1/suppressions", needs="findings.judge",
    takes=r.Suppress, answers=r.Suppression, summary="Put findings aside, with a reason and an end.",
)  # fmt: skip
LIFT_SUPPRESSION: Final = Endpoint(
    service="correlation", name="lift_suppression", method="DELETE", path="/v1/suppressions/{suppression}",
    needs="findings.judge", takes=r.SuppressionRef, answers=Nothing, summary="Show findings again.",
)  # fmt: skip
GET_RISKS: Final = Endpoint(
    service="correlation", name="get_risks", method="GET", path="/v1/scans/{scan}/risks", needs="results.read",
    takes=r.RiskQuery, answers=r.Risks, summary="Say how exposed the entities of a scan are, and all of it.",
)  # fmt: skip
