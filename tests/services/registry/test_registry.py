"""Which modules there are, how each workspace set them, how well their sources are."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from msgspec import Struct

from services.contracts.endpoints import (
    GET_ANNOUNCEMENT,
    GET_MODULE,
    LIST_KEYS,
    LIST_MODULES,
    LIST_VERSIONS,
    SET_MODULE,
)
from services.contracts.facts import ANNOUNCED, Announced, DeclaredModule, Finished, SourceOutcome
from services.contracts.resources import Announcement, KeyView, Module, ModuleRef, ModuleSettings
from services.kernel.calls import Caller, Nothing, operator
from services.kernel.directory import LOCAL, Instance
from services.kernel.errors import Invalid, NotFound, Unavailable
from services.kernel.messages import EVERYWHERE, envelop, now, workspace_id
from services.kernel.runtime import Runtime, migrations_of
from services.kernel.service import Ports
from services.kernel.settings import Settings
from services.registry import store, usecases
from services.registry.domain import check_options, judge, weigh
from services.registry.service import service
from tests.stores import Stores, store_url

OURS, THEIRS = operator(workspace_id("ours")), operator(workspace_id("theirs"))


def declared(name: str, **fields: Any) -> DeclaredModule:
    return DeclaredModule(
        **{
            "id": name, "version": 1, "title": name, "activity": "passive", "source": "https://example.org/",
            "format": "https://example.org/", "consumes": ("domain",), "produces": ("hostname",), "hosts": (),
            "options": {}, "key": None, "key_required": False, "rate": 1.0, "burst": 1, "concurrency": 1, "cost": 1.0,
            "freshness": 60, "timeout": 60.0, "licence": "none", "code": "", **fields,
        }
    )  # fmt: skip


CRTSH = declared("crtsh", options={"pages": 3, "wide": False, "share": 0.5, "host": "crt.sh"})
SHODAN = declared("shodan", key="shodan")
OTX = declared("otx")


class Registry:
    """The registry alone; the test plays collectors, scans, and whoever has the keys."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.keys: tuple[str, ...] = ()
        #: How often a collector was asked what it has.
        self.asked = 0
        runtime.calls.serve(self, {LIST_KEYS: self._list_keys})

    async def _list_keys(self, _: object, caller: Caller, question: Nothing) -> tuple[KeyView, ...]:
        return tuple(KeyView(name=name, source="stored", hint="") for name in self.keys)

    @property
    def ports(self) -> Ports:
        return self._runtime.ports["registry"]

    async def start_collector(self, digest: str, *modules: DeclaredModule, name: str = "one") -> None:
        """Have a collector that has these modules, and not said so yet; it answers from now on."""

        async def get_announcement(_: object, caller: Caller, question: Nothing) -> Announcement:
            self.asked += 1
            return Announcement(digest, modules)

        self._runtime.calls.serve(self, {GET_ANNOUNCEMENT: get_announcement})
        await self._runtime.directory.register(Instance("collector", name, LOCAL, {ANNOUNCED: digest}))

    def nobody_answers(self) -> None:
        async def get_announcement(_: object, caller: Caller, question: Nothing) -> Announcement:
            raise Unavailable("there is no collector")

        self._runtime.calls.serve(self, {GET_ANNOUNCEMENT: get_announcement})

    async def end_collector(self, name: str = "one") -> None:
        await self._runtime.directory.deregister("collector", name)

    async def say(self, *messages: Struct, caller: Caller | None = None) -> None:
        workspace = caller.workspace if caller else EVERYWHERE
        await self.ports.bus.publish(
            [envelop(message, source="test", workspace=workspace, id=uuid4()) for message in messages]
        )

    async def announce(self, *modules: DeclaredModule) -> None:
        """Have a collector that has these modules, and says so."""
        digest = uuid4().hex
        await self.start_collector(digest, *modules)
        await self.say(Announced(digest=digest, modules=modules))

    async def run_ended(self, *sources: SourceOutcome, at: int) -> None:
        ended = Finished(
            scan=uuid4(), run=1, state="finished", reason="", results=1, admissions=1, outcomes={}, sources=sources,
            evidence_root=bytes(32), at=at,
        )  # fmt: skip
        await self.say(ended, caller=OURS)

    async def modules(self, caller: Caller = OURS) -> dict[str, Module]:
        listed = await self._runtime.calls.ask(LIST_MODULES, Nothing(), caller)
        assert [module.declared.id for module in listed] == sorted(module.declared.id for module in listed)
        return {module.declared.id: module for module in listed}

    async def live(self) -> set[str]:
        return {name for name, module in (await self.modules()).items() if module.live}

    async def versions(self) -> list[tuple[str, int]]:
        listed = await self._runtime.calls.ask(LIST_VERSIONS, Nothing(), OURS)
        return [(each.module, each.version) for each in listed]

    async def get(self, name: str, caller: Caller = OURS) -> Module:
        return await self._runtime.calls.ask(GET_MODULE, ModuleRef(name), caller)

    async def set(self, name: str, caller: Caller = OURS, **settings: Any) -> Module:
        return await self._runtime.calls.ask(SET_MODULE, ModuleSettings(module=name, **settings), caller)


@asynccontextmanager
async def open_registry(folder: Path) -> AsyncIterator[Registry]:
    url = await store_url(folder, migrations_of(service))
    async with Runtime([service], Settings(data=str(folder), sql=url)) as runtime:
        yield Registry(runtime)


@pytest.fixture
async def registry(tmp_path: Path, stores: Stores) -> AsyncIterator[Registry]:
    async with open_registry(tmp_path / "data") as opened:
        await opened.announce(CRTSH, SHODAN)
        yield opened


async def eventually(holds: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.005)


# --- which modules there are ---


@pytest.mark.usefixtures("stores")
async def test_who_asks_first_gets_what_a_collector_has_that_has_not_spoken_yet(tmp_path: Path) -> None:
    async with open_registry(tmp_path / "data") as registry:
        await registry.start_collector("first", CRTSH)
        assert list(await registry.modules()) == ["crtsh"]


async def test_a_collector_is_asked_once_for_modules_that_are_not_known(registry: Registry) -> None:
    await registry.start_collector("new", CRTSH, OTX)
    before = registry.asked
    for _ in range(3):
        assert await registry.live() == {"crtsh", "otx"}
    assert registry.asked == before + 1


async def test_of_collectors_of_several_versions_the_highest_of_each_module_counts(registry: Registry) -> None:
    newer, older = declared("crtsh", version=2), declared("otx", version=7)
    await registry.start_collector("a", newer, OTX, name="one")
    assert await registry.versions() == [("crtsh", 2), ("otx", 1)]
    await registry.start_collector("b", CRTSH, older, SHODAN, name="two")
    for _ in range(3):
        found = {name: module.declared.version for name, module in (await registry.modules()).items() if module.live}
        assert found == {"crtsh": 2, "otx": 7, "shodan": 1}
    assert await registry.versions() == [("crtsh", 1), ("crtsh", 2), ("otx", 1), ("otx", 7), ("shodan", 1)]
    await registry.end_collector("two")
    assert (await registry.live(), await registry.versions()) == ({"crtsh", "otx"}, [("crtsh", 2), ("otx", 1)])


async def test_what_was_announced_last_counts_where_there_is_no_collector(registry: Registry) -> None:
    await registry.start_collector("a", CRTSH)
    assert await registry.live() == {"crtsh"}
    await registry.end_collector()
    registry.nobody_answers()
    assert await registry.live() == {"crtsh"}
    assert await registry.versions() == [("crtsh", 1)]


async def test_announcements_of_long_ago_are_forgotten_and_asked_for_where_they_still_count(registry: Registry) -> None:
    await usecases.take_announcement(registry.ports, "old", (SHODAN,), at=1)
    await registry.start_collector("old", SHODAN)
    before = registry.asked
    assert await registry.live() == {"shodan"}
    assert registry.asked == before
    await registry.end_collector()
    await usecases.take_announcement(registry.ports, "new", (CRTSH,), at=2 * now())
    await registry.start_collector("old", SHODAN)
    assert await registry.live() == {"shodan"}
    assert registry.asked == before + 1


@pytest.mark.parametrize("told", ["asked", "said"])
async def test_what_a_collector_announced_long_ago_is_kept_as_long_as_it_runs(registry: Registry, told: str) -> None:
    older = declared("crtsh", version=7)
    await usecases.take_announcement(registry.ports, "long ago", (older,), at=1)
    await registry.start_collector("long ago", older, name="two")
    await registry.start_collector("new", OTX)
    if told == "said":
        await registry.say(Announced(digest="new", modules=(OTX,)))

        async def is_known() -> bool:
            return "new" in await store.read_announcements(registry.ports.documents, ["new"])

        await eventually(is_known)
    for _ in range(2):
        assert await registry.versions() == [("crtsh", 7), ("otx", 1)]


@pytest.mark.usefixtures("stores")
async def test_what_collectors_say_is_known_without_asking_them(tmp_path: Path) -> None:
    async with open_registry(tmp_path / "data") as registry:

        async def live() -> set[str]:
            with suppress(Unavailable):
                return {name for name, module in (await registry.modules()).items() if module.live}
            return set()

        async def is_last() -> bool:
            return await live() == {"otx"}

        await registry.say(Announced(digest="first", modules=(CRTSH,)), Announced(digest="last", modules=(OTX,)))
        await eventually(is_last)


@pytest.mark.usefixtures("stores")
async def test_without_a_collector_the_registry_is_unavailable(tmp_path: Path) -> None:
    async with open_registry(tmp_path / "data") as registry:
        with pytest.raises(Unavailable, match="no collector has said yet"):
            await registry.modules()


@pytest.mark.usefixtures("stores")
async def test_later_starts_know_what_was_announced_before(tmp_path: Path) -> None:
    for known in (False, True):
        async with open_registry(tmp_path / "data") as registry:
            if not known:
                await registry.start_collector("first", CRTSH)
            assert list(await registry.modules()) == ["crtsh"]


@pytest.mark.usefixtures("stores")
async def test_what_was_brought_out_and_taken_back_is_live_no_more(tmp_path: Path) -> None:
    async with open_registry(tmp_path / "data") as registry:
        for modules, digest in (((CRTSH,), "old"), ((CRTSH, OTX), "new"), ((CRTSH,), "old")):
            await registry.start_collector(digest, *modules)
            live = {name for name, module in (await registry.modules()).items() if module.live}
            assert live == {module.id for module in modules}


async def test_what_a_collector_said_before_does_not_undo_what_another_has(registry: Registry) -> None:
    await registry.start_collector("new", CRTSH)
    await registry.modules()
    await usecases.take_announcement(registry.ports, "of the version before", (SHODAN,), at=1)
    assert await registry.live() == {"crtsh"}


async def test_a_module_that_vanished_is_known_but_not_live_until_it_comes_back(registry: Registry) -> None:
    assert all(module.live for module in (await registry.modules()).values())

    async def live_are(*names: str) -> bool:
        return {name for name, module in (await registry.modules()).items() if module.live} == set(names)

    await registry.announce(CRTSH)
    await eventually(lambda: live_are("crtsh"))
    assert (await registry.get("shodan")).declared == SHODAN
    await registry.announce(CRTSH, SHODAN, OTX)
    await eventually(lambda: live_are("crtsh", "otx", "shodan"))


async def test_a_new_version_takes_the_place_of_the_old(registry: Registry) -> None:
    await registry.modules()
    await registry.announce(declared("crtsh", version=2, options={"pages": 9}))

    async def is_new() -> bool:
        return (await registry.get("crtsh")).declared.version == 2

    await eventually(is_new)
    assert (await registry.get("crtsh")).options == {"pages": 9}


async def test_an_unknown_module_is_not_found_and_the_nearest_is_named(registry: Registry) -> None:
    with pytest.raises(NotFound, match="there is no module crtssh; did you mean crtsh"):
        await registry.get("crtssh")
    with pytest.raises(NotFound, match=r"there is no module zzz$"):
        await registry.set("zzz", enabled=False)


async def test_a_key_that_is_set_is_shown_with_the_modules_that_use_it(registry: Registry) -> None:
    assert not (await registry.get("shodan")).has_key
    registry.keys = ("shodan",)
    assert {name: module.has_key for name, module in (await registry.modules()).items()} == {
        "crtsh": False, "shodan": True,
    }  # fmt: skip


# --- settings ---


async def test_settings_are_a_workspace_s_own(registry: Registry) -> None:
    await registry.set("crtsh", enabled=False, options={"pages": 7})
    ours, theirs = await registry.get("crtsh"), await registry.get("crtsh", THEIRS)
    assert (ours.enabled, ours.options["pages"]) == (False, 7)
    assert (theirs.enabled, theirs.options) == (True, CRTSH.options)


async def test_what_is_not_set_stays_as_it_is(registry: Registry) -> None:
    await registry.set("crtsh", enabled=False)
    assert (await registry.set("crtsh", options={"pages": 7})).enabled is False
    module = await registry.set("crtsh", options={"wide": True})
    assert module.options == {"pages": 7, "wide": True, "share": 0.5, "host": "crt.sh"}
    assert (await registry.set("crtsh", enabled=True)).options["pages"] == 7
    assert await registry.set("crtsh") == await registry.get("crtsh")


async def test_settings_that_are_changed_at_once_are_all_kept(registry: Registry) -> None:
    for pages in range(5):
        changes: list[dict[str, Any]] = [{"pages": pages}, {"wide": pages % 2 == 0}, {"share": pages / 10}]
        await asyncio.gather(*(registry.set("crtsh", options=change) for change in changes))
        expected = {"pages": pages, "wide": pages % 2 == 0, "share": pages / 10, "host": "crt.sh"}
        assert (await registry.get("crtsh")).options == expected


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"page": 1}, "crtsh has no option page; it has host, pages, share, wide"),
        ({"pages": "3"}, "the option pages of crtsh is a whole number"),
        ({"pages": True}, "the option pages of crtsh is a whole number"),
        ({"pages": 1.5}, "the option pages of crtsh is a whole number"),
        ({"wide": 1}, "the option wide of crtsh is true or false"),
        ({"host": 5}, "the option host of crtsh is a text"),
        ({"host": "x" * 1001}, "at most 1000 characters"),
        ({"pages": 2**60}, "too large a number"),
        ({"share": float("inf")}, "too large a number"),
        ({"share": float("nan")}, "too large a number"),
    ],
)
async def test_an_option_that_the_module_does_not_take_is_refused(
    registry: Registry, options: Mapping[str, Any], says: str
) -> None:
    with pytest.raises(Invalid, match=says):
        await registry.set("crtsh", options={"pages": 8, **options})
    assert (await registry.get("crtsh")).options == CRTSH.options


async def test_an_option_that_a_newer_version_does_not_have_is_left_out(registry: Registry) -> None:
    await registry.set("crtsh", options={"pages": 7, "wide": True})
    await registry.announce(declared("crtsh", version=2, options={"wide": False, "pages": "all"}))

    async def fits() -> bool:
        return (await registry.get("crtsh")).options == {"wide": True, "pages": "all"}

    await eventually(fits)


def test_a_whole_number_is_a_number_too() -> None:
    checked = check_options(CRTSH, {"share": 1})
    assert checked == {"share": 1.0}
    assert isinstance(checked["share"], float)


@pytest.mark.parametrize(("option", "value"), [("pages", -5), ("share", -0.1)])
def test_an_option_that_counts_is_not_negative(option: str, value: float) -> None:
    with pytest.raises(Invalid, match=f"the option {option} of crtsh is a count, which is never below 0"):
        check_options(CRTSH, {option: value})
    assert check_options(CRTSH, {option: 0}) == {option: 0}
    below = declared("below", options={"offset": -1})
    assert check_options(below, {"offset": -5}) == {"offset": -5}


@pytest.mark.parametrize("text", ["two", "1,", ""])
def test_a_text_of_another_form_than_the_module_takes_is_refused(text: str) -> None:
    formed = declared("formed", options={"pages": "1"}, forms={"pages": "[0-9](,[0-9])*"})
    with pytest.raises(Invalid, match="is not what formed takes for pages; the default is 1"):
        check_options(formed, {"pages": text})
    assert check_options(formed, {"pages": "1,2"}) == {"pages": "1,2"}


# --- health ---


def outcome(module: str = "crtsh", reason: str = "", **outcomes: int) -> SourceOutcome:
    return SourceOutcome(module=module, outcomes=outcomes, reason=reason)


@pytest.mark.parametrize(
    ("outcomes", "weight"),
    [
        ({"found": 3, "empty": 2, "truncated": 1}, (6, 0)),
        ({"found": 1, "rate_limited": 2, "blocked": 1, "unreachable": 1, "failed": 1}, (1, 5)),
        ({"unauthorised": 4, "skipped": 9}, (0, 0)),
        ({}, (0, 0)),
    ],
)
def test_what_is_not_the_source_s_doing_does_not_count(outcomes: dict[str, int], weight: tuple[int, int]) -> None:
    assert weigh(outcome(**outcomes)) == weight


@pytest.mark.parametrize(
    ("failing", "last_answer", "last_failure", "state"),
    [
        (0, None, None, "unknown"),
        (0, 5, None, "well"),
        (0, 5, 3, "well"),
        (0, 5, 5, "degraded"),
        (1, 3, 5, "degraded"),
        (2, None, 5, "degraded"),
        (3, 3, 5, "down"),
        (9, None, 5, "down"),
    ],
)
def test_health_is_judged_by_the_latest_runs(
    failing: int, last_answer: int | None, last_failure: int | None, state: str
) -> None:
    health = judge(
        answered=int(last_answer is not None), failed=1, failing=failing, last_answer=last_answer,
        last_failure=last_failure, reason="why",
    )  # fmt: skip
    assert health.state == state
    assert health.reason == ("" if state == "well" else "why")


async def test_a_source_gets_worse_and_well_again_with_its_outcomes(registry: Registry) -> None:
    steps = [
        (outcome(found=2), "well", ""),
        (outcome(found=1, rate_limited=1, reason="429"), "degraded", "429"),
        (outcome(unreachable=3, reason="no route"), "degraded", "no route"),
        (outcome(failed=1), "degraded", "no route"),
        (outcome(blocked=1, reason="challenge"), "down", "challenge"),
        (outcome(skipped=5, unauthorised=1), "down", "challenge"),
        (outcome(empty=1), "well", ""),
    ]
    for at, (source, state, reason) in enumerate(steps, start=1):
        await registry.run_ended(source, outcome("otx", found=1), at=at)

        async def is_judged(state: str = state, reason: str = reason) -> bool:
            health = (await registry.get("crtsh")).health
            return (health.state, health.reason) == (state, reason)

        await eventually(is_judged)
    health = (await registry.get("crtsh")).health
    assert (health.answered, health.failed, health.last_answer, health.last_failure) == (4, 6, 7, 5)


async def test_the_health_of_a_source_is_the_same_for_all_and_of_no_other(registry: Registry) -> None:
    await registry.run_ended(outcome(unreachable=1, reason="away"), at=1)

    async def is_known() -> bool:
        return (await registry.get("crtsh", THEIRS)).health.state == "degraded"

    await eventually(is_known)
    assert (await registry.get("shodan")).health.state == "unknown"


async def test_a_run_that_is_told_twice_counts_once(registry: Registry) -> None:
    ended = Finished(
        scan=uuid4(), run=1, state="finished", reason="", results=1, admissions=1, outcomes={},
        sources=(outcome(found=1),), evidence_root=bytes(32), at=1,
    )  # fmt: skip
    twice = envelop(ended, source="scans", workspace=OURS.workspace, id=uuid4())
    bus = registry._runtime.ports["registry"].bus
    await bus.publish([twice])
    await bus.publish([twice])
    await registry.run_ended(outcome(found=1), at=2)

    async def has_both() -> bool:
        return (await registry.get("crtsh")).health.last_answer == 2

    await eventually(has_both)
    assert (await registry.get("crtsh")).health.answered == 2
