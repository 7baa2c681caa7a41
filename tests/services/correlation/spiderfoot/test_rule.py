"""What a text must be to be a rule of SpiderFoot 4."""

import pytest

from services.correlation.domain.spiderfoot.rule import read_rule
from services.kernel.errors import Invalid
from tests.services.correlation.spiderfoot.tree import block, rule_of, text_of

FIRST = [block("type", "IP_ADDRESS")]


def test_a_rule_is_read_with_what_it_says_of_itself():
    rule = rule_of(
        FIRST, by="data", meta={"name": " A ", "description": "B\n", "risk": "LOW", "author": "C", "url": "D"}
    )
    assert (rule.id, rule.version, rule.name, rule.description) == ("tried", 1, "A", "B")
    assert (rule.risk, rule.severity, rule.author, rule.url) == ("LOW", "low", "C", "D")
    assert str(rule.aggregation) == "data"
    assert rule.published is None


@pytest.mark.parametrize(("risk", "severity"), [("INFO", "info"), ("CRITICAL", "critical"), ("Severe", "info")])
def test_a_risk_that_is_not_documented_is_kept_and_weighs_least(risk, severity):
    rule = rule_of(FIRST, meta={"name": "A", "description": "B", "risk": risk})
    assert (rule.risk, rule.severity) == (risk, severity)


@pytest.mark.parametrize("key", ["enabled", "rawYaml"])
def test_keys_that_the_engine_knows_and_ignores_are_read(key):
    assert rule_of(FIRST, **{key: False}).id == "tried"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"agregation": {"field": "data"}}, "a rule has no key 'agregation'; did you mean aggregation"),
        ({"id": ""}, "a rule needs id"),
        ({"id": "../../etc"}, "id: up to 64 letters"),
        ({"meta": {"name": "A", "description": "B"}}, "meta needs risk"),
        (
            {"meta": {"name": "A", "description": "B", "risk": "LOW", "autor": "x"}},
            "no key 'autor'; did you mean author",
        ),
        ({"meta": {"name": "A", "description": "B", "risk": 3}}, "meta.risk: a text"),
        ({"headline": ""}, "a rule needs headline"),
        ({"headline": "{datum}"}, "headline: there is no 'datum'; did you mean data"),
        ({"headline": "{source.date}"}, "headline: there is no 'source.date'; did you mean source.data"),
        ({"headline": {"text": "x", "publish": 1}}, "headline has no key 'publish'; did you mean publish_collections"),
        (
            {"headline": {"text": "x", "publish_collections": [1]}},
            "publish_collections: numbers of collections, 0 to 0",
        ),
        ({"headline": {"text": "x", "publish_collections": [True]}}, "publish_collections: numbers of collections"),
        ({"aggregation": {"fields": "data"}}, "aggregation has no key 'fields'; did you mean field"),
        ({"aggregation": {"field": "dat"}}, "aggregation.field: there is no 'dat'; did you mean data"),
        ({"aggregation": ["data"]}, "aggregation: keys with values, which may be field"),
        ({"collections": {"collect": []}}, "collections: a list of up to 20"),
        ({"collections": [{"colect": []}]}, r"collections\[0\] has no key 'colect'; did you mean collect"),
        ({"collections": [{"collect": []}]}, r"collections\[0\]: collect has a block at least"),
        (
            {"analysis": [{"method": "treshold"}]},
            r"analysis\[0\].method: there is no 'treshold'; did you mean threshold",
        ),
        ({"analysis": [{"method": "threshold"}]}, r"analysis\[0\]: threshold needs field"),
        ({"analysis": [{"method": "outlier"}]}, r"analysis\[0\]: outlier needs maximum_percent"),
        ({"analysis": [{"method": "outlier", "maximum_percent": "10%"}]}, "maximum_percent: a number"),
        ({"analysis": [{"method": "outlier", "maximum_percent": 1, "noisy_percnt": 2}]}, "did you mean noisy_percent"),
        ({"analysis": [{"method": "threshold", "field": "data", "minimum": float("nan")}]}, "minimum: a number"),
        ({"analysis": [{"method": "match_all_to_first_collection", "field": "data"}]}, "needs match_method"),
        (
            {"analysis": [{"method": "match_all_to_first_collection", "field": "data", "match_method": "subnets"}]},
            "there is no 'subnets'; did you mean subnet",
        ),
        ({"analysis": [{"method": "first_collection_only", "field": "source.data"}]}, "not at source.data"),
    ],
)
def test_what_a_rule_cannot_have_is_named_with_what_was_meant(keys, said):
    with pytest.raises(Invalid, match=said):
        read_rule(text_of(FIRST, **keys))


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ([block("type", "IP_ADRESS")], "there is no 'IP_ADRESS'; did you mean IP_ADDRESS"),
        ([block("type", "not IP_ADDRESS")], "there is no 'not IP_ADDRESS'; did you mean IP_ADDRESS"),
        ([block("source.type", "IP_ADDRESS")], "the first block looks at type, module or data, not at source.type"),
        ([block("data", "x", regex=True)], "the first block takes a regex for type alone"),
        ([block("module", "x", regex=True)], "the first block takes a regex for type alone"),
        ([block("type", "(", regex=True)], "is no regular expression"),
        ([{"method": "exact", "field": "type"}], "needs value"),
        ([{"method": "exact", "field": "type", "value": []}], "value: 1 to 1,000 values"),
        (
            [{"method": "exact", "field": "type", "value": "IP_ADDRESS", "values": 1}],
            "no key 'values'; did you mean value",
        ),
        ([{"method": "exactly", "field": "type", "value": "IP_ADDRESS"}], "no 'exactly'; did you mean exact"),
        (
            [*FIRST, block("sources.data", "x")],
            r"collect\[1\].field: there is no 'sources.data'; did you mean source.data",
        ),
        ([*FIRST, block("data", {"a": 1})], "value: texts or numbers"),
        ([*FIRST, block("data", "x" * 5_000)], "at most 4,096 characters"),
        ([*FIRST, block("data", r"(a)\1", regex=True)], "does not refer to its groups"),
    ],
)
def test_a_block_that_can_select_nothing_is_refused_where_it_stands(blocks, said):
    with pytest.raises(Invalid, match=said):
        read_rule(text_of(blocks))


def test_a_regex_of_the_first_block_finds_types_in_their_case():
    [[upper]] = rule_of([block("type", "^BLACKLIST_*", regex=True)]).collections
    assert upper.types == {
        "BLACKLISTED_AFFILIATE_INTERNET_NAME",
        "BLACKLISTED_AFFILIATE_IPADDR",
        "BLACKLISTED_COHOST",
        "BLACKLISTED_INTERNET_NAME",
        "BLACKLISTED_IPADDR",
        "BLACKLISTED_NETBLOCK",
        "BLACKLISTED_SUBNET",
    }
    [[lower]] = rule_of([block("type", "^blacklist", regex=True)]).collections
    assert lower.types == frozenset()


def test_limits_hold():
    with pytest.raises(Invalid, match="collections: a list of up to 20"):
        rule_of(*[FIRST] * 21)
    with pytest.raises(Invalid, match="collect: a list of up to 50"):
        rule_of(FIRST * 51)
    with pytest.raises(Invalid, match="at most 64 kB"):
        read_rule("#" * 70_000)
