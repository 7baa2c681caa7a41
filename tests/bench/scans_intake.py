"""How fast scans takes results in. ``python -m tests.bench.scans_intake [hosts]`` prints a profile.

A deep scan of one domain: every host has an address, a page, a certificate and a few records, and twelve modules are
asked about it. Results come in batches of 200, as from a busy bus; the time is that of the transactions alone,
outbox included, without decoding.
"""

import cProfile
import hashlib
import pstats
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop
from msgspec import Struct

from services.contracts import entities, relations
from services.contracts.claims import Attribute, Entity, Relation
from services.contracts.facts import Collected, Outcome
from tests.bench.declaration import Bench, Figure, Options, middle, span
from tests.services.scans.desk import Claimed, Desk, World, answer, module

BATCH, HOSTS, BAR = 200, 2_000, 5_000
MODULES = (
    *(module(f"source{number}", "passive", "domain", rate=1.0) for number in range(10)),
    module("dns_records", "dns", "domain", "hostname", cost=8),
    module("mail_setup", "dns", "domain", "hostname", cost=4),
    module("takeover", "dns", "hostname"),
    module("srv", "dns", "domain"),
    module("reverse_dns", "dns", "ip_address"),
    module("cymru", "passive", "ip_address", rate=50.0),
    module("internetdb", "passive", "ip_address", rate=50.0),
    module("dnsbl", "passive", "ip_address"),
    module("rdap_ip", "passive", "netblock", rate=5.0),
    module("brute", "guess", "domain", "hostname", "level", cost=100),
    module("permutations", "guess", "names", cost=1000),
    module("web", "active", "domain", "hostname", concurrency=50, cost=3),
    module("well_known", "active", "hostname", concurrency=50, cost=3),
    module("mail_policy", "active", "domain", "hostname", concurrency=50),
    module("crawl", "active", "url", concurrency=50, cost=5),
    module("tls_certificate", "active", "serves", concurrency=50),
)


class Host:
    """What there is to find at one host."""

    def __init__(self, number: int) -> None:
        label = f"h{number}" if number % 5 else f"h{number}.level{number % 40}"
        self.name = entities.name(f"{label}.example.org")
        self.ip = entities.ip_address(f"198.{18 + number // 50000}.{number // 200 % 250}.{number % 200 + 1}")
        self.block = entities.netblock(f"{self.ip.key[0]}/24")
        self.url = entities.url(f"https://{self.name.key[0]}/")
        self.service = entities.service(self.ip.key[0], "tcp", "443")
        self.certificate = entities.certificate(hashlib.sha256(self.name.key[0].encode()).hexdigest())


def world(hosts: Sequence[Host]) -> World:
    by_name = {host.name: host for host in hosts}
    by_ip = {host.ip: host for host in hosts}
    mentioned = [entities.url(f"https://other{number}.example.net/page") for number in range(200)]
    asn = entities.asn("64500")

    def said(asked: str, subject: Entity | Relation) -> Sequence[Claimed] | Outcome:
        if asked.startswith("source"):
            number = int(asked[6:])
            return [host.name for host in hosts[number::7]]
        if isinstance(subject, Relation):
            host = by_name.get(subject.target)
            if asked != "tls_certificate" or host is None:
                return "empty"
            return [
                host.certificate,
                relations.presents(host.service, host.certificate, sni=host.name.key[0]),
                relations.covers_name(host.certificate, host.name),
                Attribute(host.certificate, "not_after", 1),
            ]
        host = by_name.get(subject) or by_ip.get(subject)
        if host is None:
            return "empty"
        match asked:
            case "dns_records":
                record = entities.dns_record(host.name.key[0], "A", host.ip.key[0])
                return [
                    host.ip,
                    relations.resolves_to(host.name, host.ip, record="A"),
                    record,
                    relations.has_record(host.name, record),
                ]
            case "web":
                return [
                    host.url,
                    relations.exposes(host.name, host.service),
                    relations.serves(host.service, host.name, host=host.name.key[0]),
                    relations.runs(host.url, entities.technology("nginx", "1.2")),
                    Attribute(host.url, "title", "Welcome"),
                    Attribute(host.url, "status", 200),
                    *(relations.links_to(host.url, mentioned[n]) for n in range(hash(host.name.key) % 6)),
                ]
            case "cymru":
                return [relations.part_of(host.ip, host.block), relations.announced_by(host.block, asn)]
            case "reverse_dns":
                return [relations.reverse_resolves_to(host.ip, host.name)]
            case "internetdb":
                return [relations.exposes(host.ip, host.service), Attribute(host.service, "product", "nginx")]
        return "empty"

    return lambda asked, item: said(asked, item.subject) if not hasattr(item.subject, "zone") else "empty"


class Taken(Struct):
    """Seconds of transactions by the clock, of processor time, and of that on the event loop; what came in them."""

    wall: float = 0.0
    cpu: float = 0.0
    loop: float = 0.0
    results: int = 0
    claims: int = 0
    entities: int = 0
    size: int = 0


async def take_in(count: int, profile: cProfile.Profile | None = None) -> Taken:
    hosts = [Host(number) for number in range(count)]
    play = world(hosts)
    taken = Taken()
    with tempfile.TemporaryDirectory() as folder:
        desk = await Desk(Path(folder) / "scans.db", MODULES).open()
        desk.real._strict = False
        scan = await desk.create("example.org")
        waiting: list[Collected] = []
        while True:
            for command in await desk.commands():
                waiting += [answer(command, item, play(command.module, item)) for item in command.items]
            if not waiting:
                break
            batch, waiting = waiting[:BATCH], waiting[BATCH:]
            taken.results += len(batch)
            taken.claims += sum(len(result.said) for result in batch)
            started, used, own = time.perf_counter(), time.process_time(), time.thread_time()
            if profile:
                profile.enable()
            await desk.take(*batch)
            if profile:
                profile.disable()
            taken.wall += time.perf_counter() - started
            taken.cpu += time.process_time() - used
            taken.loop += time.thread_time() - own
        taken.entities = sum((await desk.scan(scan)).entities.values())
        taken.size = sum(file.stat().st_size for file in Path(folder).iterdir())
        await desk.close()
    return taken


def run(options: Options) -> list[Figure]:
    runs = [uvloop.run(take_in(HOSTS)) for _ in range(options.runs)]
    claims, results = [each.claims / each.wall for each in runs], [each.results / each.wall for each in runs]
    cpu = middle([each.cpu / each.results for each in runs]) * 1e3
    share = middle([each.loop / each.cpu for each in runs])
    last = runs[-1]
    beside = f"cpu {cpu:.2f} ms a result, {share:.0%} of it on the event loop"
    brought = f"{last.results:,} results, {last.entities:,} entities, {last.size / 1e6:.0f} MB"
    return [
        Figure(what="claims", value=middle(claims), unit="claims/s", bar=BAR, spread=span(claims), beside=beside),
        Figure(what="results", value=middle(results), unit="results/s", spread=span(results), beside=brought),
    ]


BENCH = Bench("scans_intake", "Part of the embedded pipeline: ≥ 5,000 claims/s throughout.", run)

if __name__ == "__main__":
    recorded = cProfile.Profile()
    print(uvloop.run(take_in(int(sys.argv[1]) if len(sys.argv) > 1 else HOSTS, recorded)))
    pstats.Stats(recorded).sort_stats("tottime").print_stats(35)
