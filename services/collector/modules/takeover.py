"""Aliases that lead to nothing: whether the target of a CNAME exists, and where it does not, whether it is of a service
at which somebody else could claim it, or of a domain that anybody could register. Asked of the recursive resolvers
alone; it says what the DNS shows and judges nothing. Only the resolvers and the name servers behind them see the
questions.
"""

from collections.abc import AsyncIterator, Iterator

import msgspec

from services.collector.archetypes.names import any_name
from services.collector.archetypes.sound import described
from services.collector.context import Answer, Context, DnsAnswer, Unreachable
from services.collector.manifest import Manifest
from services.contracts import entities
from services.contracts.claims import Claim, Relation

MANIFEST = Manifest(
    id="takeover",
    version=2,
    title="Dangling aliases",
    activity="dns",
    source="https://www.rfc-editor.org/rfc/rfc1034",
    format="https://github.com/EdOverflow/can-i-take-over-xyz",
    consumes=("alias_of",),
    produces=("domain", "hostname"),
    rate=0.0,
    concurrency=32,
    freshness=86_400,
    timeout=60.0,
    licence="none",
)

#: Services whose unclaimed names do not exist in the DNS, by the end of the name.
SERVICES = {
    "azurewebsites.net": "Azure App Service",
    "cloudapp.net": "Azure Cloud Services",
    "cloudapp.azure.com": "Azure Virtual Machines",
    "trafficmanager.net": "Azure Traffic Manager",
    "azureedge.net": "Azure CDN",
    "azurefd.net": "Azure Front Door",
    "azure-api.net": "Azure API Management",
    "azurehdinsight.net": "Azure HDInsight",
    "azurecontainer.io": "Azure Container Instances",
    "azurecr.io": "Azure Container Registry",
    "azuredatalakestore.net": "Azure Data Lake",
    "azuremicroservices.io": "Azure Spring Apps",
    "azurestaticapps.net": "Azure Static Web Apps",
    "blob.core.windows.net": "Azure Blob Storage",
    "web.core.windows.net": "Azure Storage",
    "redis.cache.windows.net": "Azure Cache for Redis",
    "search.windows.net": "Azure AI Search",
    "servicebus.windows.net": "Azure Service Bus",
    "database.windows.net": "Azure SQL",
    "visualstudio.com": "Azure DevOps",
    "elasticbeanstalk.com": "AWS Elastic Beanstalk",
    "awsapprunner.com": "AWS App Runner",
    "herokudns.com": "Heroku",
    "trydiscourse.com": "Discourse",
    "fly.dev": "Fly.io",
}


async def collect(seen: Relation, ctx: Context) -> AsyncIterator[Answer]:
    target = seen.target.value
    answer = await ctx.dns.ask(target, "A", "AAAA")
    if not any(resolution.asked for resolution in answer.resolutions):
        raise Unreachable(f"{target}: {answer.resolutions[0].status}")
    if all(resolution.status == "nxdomain" for resolution in answer.resolutions):
        # Of a registered domain nobody else can register a name; only of a lapsed one can they.
        last = any_name(end_of(answer)) or seen.target
        domain = entities.registered_domain(last.value).value
        above = await ctx.dns.ask(domain, "NS")
        answer = msgspec.structs.replace(
            answer, records=answer.records + above.records, resolutions=answer.resolutions + above.resolutions
        )
    yield answer


def parse(answer: DnsAnswer, seen: Relation) -> Iterator[Claim]:
    asked = [resolution for resolution in answer.resolutions if resolution.type in {"A", "AAAA"}]
    if not all(resolution.status == "nxdomain" for resolution in asked):
        return
    above = [resolution for resolution in answer.resolutions if resolution.type == "NS"]
    lapsed = any(resolution.status == "nxdomain" and not resolution.records for resolution in above)
    candidate = "domain registration" if lapsed else service_of(end_of(answer)) or service_of(seen.target.value)
    yield from described(seen.source, dangling_alias=True, takeover_candidate=candidate)


def end_of(answer: DnsAnswer) -> str:
    """The last name that further aliases lead to; empty when there are none."""
    chains = (resolution.chain for resolution in answer.resolutions if resolution.type in {"A", "AAAA"})
    return next((chain[-1] for chain in chains if chain), "")


def service_of(name: str) -> str | None:
    """The service that gives out names such as this one."""
    rest = name
    while rest:
        if rest in SERVICES:
            return SERVICES[rest]
        rest = rest.partition(".")[2]
    return None
