"""What a scan is decided to do when it is made."""

from uuid import UUID

import pytest

from services.contracts.commands import Collect
from services.contracts.entities import name
from services.contracts.facts import Admitted
from services.contracts.permissions import permissions_of
from services.contracts.plan import Limits
from services.contracts.resources import BudgetView, NewScan, QuotaView, ScanId
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Denied, Invalid
from services.scans import api
from services.scans.domain.planning import salt_of
from tests.services.scans.conftest import OpenDesk
from tests.services.scans.desk import CALLER, WORKSPACE, Desk, answers, module

MODULES = (
    module("crtsh", "passive", "domain", hosts=("crt.sh",), cost=2.0),
    module("whois", "passive", "domain", "ip_address"),
    module("dns_records", "dns", "domain", "hostname"),
    module("brute", "guess", "domain"),
    module("web", "active", "hostname"),
)


async def planned(desk: Desk, **fields: object) -> set[str]:
    scan = await desk.create("example.org", **fields)
    return {each.id for each in (await api.get_plan(desk.ports, CALLER, ScanId(scan))).modules}


async def test_a_profile_decides_which_activities_there_are(open_desk: OpenDesk) -> None:
    desk = await open_desk(*MODULES)
    assert await planned(desk, profile="passive") == {"crtsh", "whois"}
    assert await planned(desk, profile="standard") == {"crtsh", "whois", "dns_records"}
    assert await planned(desk, profile="deep") == {each.declared.id for each in MODULES}


async def test_nothing_active_is_planned_without_an_authorisation(open_desk: OpenDesk) -> None:
    desk = await open_desk(*MODULES)
    assert "web" not in await planned(desk, profile="deep", authorised=None)
    preview = await api.preview_scan(desk.ports, CALLER, NewScan(targets=("example.org",), profile="deep"))
    assert preview.left_out == {"web": "it is active, and nobody authorised active work"}


async def test_modules_and_activities_can_be_chosen_and_excluded(open_desk: OpenDesk) -> None:
    desk = await open_desk(*MODULES)
    assert await planned(desk, modules=("crtsh", "dns")) == {"crtsh", "dns_records"}
    assert await planned(desk, exclude=("guess", "whois")) == {"crtsh", "dns_records", "web"}
    with pytest.raises(Invalid, match="no module or activity 'crtsch'; did you mean crtsh"):
        await planned(desk, modules=("crtsch",))
    for ask in (api.create_scan, api.preview_scan):
        with pytest.raises(Invalid, match=r"no module is left to ask \(web: it is active, which the profile passive"):
            await ask(desk.ports, CALLER, NewScan(targets=("example.org",), modules=("web",)))


async def test_disabled_modules_and_those_that_no_collector_has_are_left_out(open_desk: OpenDesk) -> None:
    desk = await open_desk(
        module("on", "passive", "domain"),
        module("off", "passive", "domain", enabled=False),
        module("gone", "passive", "domain", live=False),
    )
    assert await planned(desk) == {"on"}
    preview = await api.preview_scan(desk.ports, CALLER, NewScan(targets=("example.org",)))
    assert preview.left_out == {"off": "it is disabled in this workspace", "gone": "no collector has it"}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"targets": ()}, "at least one target"),
        ({"targets": ("example.org",), "authorised": " "}, "an authorisation says who"),
        ({"targets": ("example.org",), "resolvers": ("foo",)}, "'foo' is no resolver"),
        ({"targets": ("example.org",), "resolvers": ("192.0.2.1:0",)}, "is no resolver"),
        ({"targets": ("example.org",), "resolvers": ("192.0.2.1:70000",)}, "is no resolver"),
        ({"targets": ("example.org",), "resolvers": ("[2001:db8::1:53",)}, "is no resolver"),
        ({"targets": ("example.org",), "words": "ab" * 31}, "is not the sha256"),
        ({"targets": ("example.org",), "words": "xy" * 32}, "is not the sha256"),
        ({"targets": ("not a/target",)}, "not a/target"),
        ({"targets": ("example.org",), "exclude_scope": ("example.org",)}, "target and excluded at once"),
        ({"targets": ("example.org",), "scope": ("..",)}, "host name"),
        ({"targets": ("example.org",), "networks": ("example.net",)}, "is not a network"),
        ({"targets": ("example.org",), "limits": Limits(max_items=0)}, "limits"),
        ({"targets": ("example.org",), "limits": Limits(timeout=0.0)}, "limits"),
    ],
)
async def test_what_makes_no_sense_is_refused_in_a_sentence(
    open_desk: OpenDesk, fields: dict[str, object], reason: str
) -> None:
    desk = await open_desk(*MODULES)
    with pytest.raises(Invalid, match=reason):
        await api.create_scan(desk.ports, CALLER, NewScan(**fields))
    assert await api.list_scans(desk.ports, CALLER, Nothing()) == ()


@pytest.mark.parametrize("fields", [{"authorised": "Jo, our own domain"}, {"networks": ("10.0.0.0/8",)}])
async def test_targets_and_guarded_networks_are_touched_where_somebody_may_authorise_that(
    open_desk: OpenDesk, fields: dict[str, object]
) -> None:
    desk = await open_desk(*MODULES)
    new = NewScan(targets=("example.org",), **fields)  # type: ignore[arg-type]
    analyst, admin = (
        Caller(CALLER.workspace, "jo", permissions=permissions_of(role), account=UUID(int=1))  # type: ignore[arg-type]
        for role in ("analyst", "admin")
    )
    with pytest.raises(Denied, match=r"scans\.authorise"):
        await api.create_scan(desk.ports, analyst, new)
    assert await api.list_scans(desk.ports, CALLER, Nothing()) == ()
    await api.create_scan(desk.ports, analyst, NewScan(targets=("example.org",)))
    await api.create_scan(desk.ports, admin, new)


async def test_a_preview_says_what_the_targets_cost_and_stores_nothing(open_desk: OpenDesk) -> None:
    desk = await open_desk(
        *MODULES,
        module("paid", "passive", "domain", key="paid", key_required=True, key_adds="all names", has_key=False),
    )
    preview = await api.preview_scan(desk.ports, CALLER, NewScan(targets=("example.org", "example.net", "192.0.2.1")))
    asked = {each.id: each for each in preview.modules}
    assert (asked["crtsh"].requests, asked["crtsh"].tells) == (4.0, ("crt.sh",))
    assert asked["whois"].requests == 3.0
    assert (asked["paid"].requests, asked["paid"].missing_key) == (0.0, "paid")
    assert asked["paid"].key_adds == "without it this source is not asked; it adds all names"
    assert await api.list_scans(desk.ports, CALLER, Nothing()) == ()
    assert await desk.commands() == []


async def test_a_preview_says_what_the_tightest_quota_of_a_source_leaves(open_desk: OpenDesk) -> None:
    desk = await open_desk(*MODULES)
    quotas = [QuotaView(period=p, most=50, used=50 - left, left=left, until=1) for p, left in (("hour", 9), ("day", 3))]
    desk.budgets = (
        BudgetView(module="crtsh", budget="crtsh", rate=1.0, burst=1, with_key=False, quotas=tuple(quotas)),
        BudgetView(module="whois", budget="whois", rate=1.0, burst=1, with_key=False, quotas=()),
    )
    preview = await api.preview_scan(desk.ports, CALLER, NewScan(targets=("example.org",)))
    assert {each.id: each.left for each in preview.modules} == {"crtsh": 3, "whois": None}


async def test_a_preview_says_what_a_missing_key_would_add_in_the_words_of_its_module(open_desk: OpenDesk) -> None:
    desk = await open_desk(
        module("shy", "passive", "domain", key="shy", key_adds="contacts", has_key=False),
        module("open", "passive", "domain", key="open", key_adds="wallets", has_key=True),
    )
    preview = await api.preview_scan(desk.ports, CALLER, NewScan(targets=("example.org",)))
    said = {each.id: (each.missing_key, each.key_adds) for each in preview.modules}
    assert said == {"shy": ("shy", "it adds contacts"), "open": ("", "")}


async def test_targets_are_admitted_once_and_a_url_brings_its_host(open_desk: OpenDesk) -> None:
    desk = await open_desk(*MODULES)
    await desk.create("example.org", "EXAMPLE.org.", "https://www.example.net/login")
    (admitted,) = await desk.all_said(Admitted)
    places = {admission.entity.value: (admission.role, admission.distance) for admission in admitted.admissions}
    assert places == {
        "example.org": ("target", 0),
        "https://www.example.net/login": ("target", 0),
        "www.example.net": ("in_scope", 0),
    }


async def test_the_same_scan_twice_asks_for_the_same_probes(open_desk: OpenDesk) -> None:
    targets = (name("example.org"), name("example.net"))
    assert salt_of(WORKSPACE, targets) == salt_of(WORKSPACE, reversed(targets))
    assert salt_of(WORKSPACE, targets) != salt_of(WORKSPACE, targets[:1])
    desk = await open_desk(*MODULES)
    plans = [await api.get_plan(desk.ports, CALLER, ScanId(await desk.create("example.org"))) for _ in range(2)]
    assert plans[0].salt == plans[1].salt


async def test_a_module_without_its_key_is_not_asked_and_does_not_look_empty(open_desk: OpenDesk) -> None:
    paid = module("paid", "passive", "domain", key="paid_api", key_required=True, has_key=False)
    desk = await open_desk(*MODULES[:1], paid)
    scan = await desk.create("example.org")
    await desk.run(lambda asked, item: "empty")
    source = next(source for source in (await desk.scan(scan)).sources if source.module == "paid")
    assert (source.state, source.reason, source.outcomes) == ("unauthorised", "no key paid_api", {})

    desk.modules = (MODULES[0], module("paid", "passive", "domain", key="paid_api", key_required=True))
    await api.retry_scan(desk.ports, CALLER, ScanId(scan))
    (command,) = await desk.commands()
    assert command.module == "paid"
    await desk.take(*answers(command, lambda asked, item: []))
    again = await desk.scan(scan)
    assert (again.state, again.run) == ("finished", 2)
    assert {source.module: source.state for source in again.sources} == {"crtsh": "answered", "paid": "answered"}


async def test_items_name_module_version_subject_and_configuration(open_desk: OpenDesk) -> None:
    ids = set()
    for options in ({}, {"depth": 1}):
        for version in (1, 2):
            desk = await open_desk(module("crtsh", "passive", "domain", version=version, options=options))
            await desk.create("example.org", "example.net")
            (command,) = await desk.all_said(Collect)
            assert {item.id.version for item in command.items} == {5}
            ids |= {item.id for item in command.items}
    assert len(ids) == 8


@pytest.mark.parametrize(("network", "said"), [("0.0.0.0/0", "2^32 addresses"), ("::/8", "/16 or longer")])
async def test_a_network_that_no_scan_comes_to_the_end_of_is_refused(
    open_desk: OpenDesk, network: str, said: str
) -> None:
    desk = await open_desk(module("cymru", "passive", "netblock", "domain"))
    for wanted in ({"targets": (network,)}, {"targets": ("example.org",), "scope": (network,)}):
        for ask in (api.create_scan, api.preview_scan):
            with pytest.raises(Invalid) as refused:
                await ask(desk.ports, CALLER, NewScan(**wanted))
            assert said in str(refused.value)
    for widest in ("10.0.0.0/8", "2001::/16"):
        assert await api.preview_scan(desk.ports, CALLER, NewScan(targets=(widest,)))
