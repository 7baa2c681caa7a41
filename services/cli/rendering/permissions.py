"""Who may ask whom, and what each may do in Consul: intentions and ACL policies, as HCL.

https://developer.hashicorp.com/consul/docs/reference/config-entry/service-intentions and
https://developer.hashicorp.com/consul/docs/reference/acl/rule.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from services.cli.rendering.jobs import job_name
from services.contracts.endpoints import CHANGE_SETTINGS
from services.contracts.keys import KEYS
from services.kernel.live import SETTINGS
from services.kernel.service import Service

#: What reads the metrics of every instance, beside the services.
METRICS: Final = "prometheus"
_HEAD: Final = "# Rendered from the declarations in services/*/service.py by `mirage render`: change it there.\n"


def render_intentions(service: Service, services: Sequence[Service]) -> str:
    """Who may ask ``service``: those that declare so, the gateways, who looks how all are, and nobody else."""
    askers = [each.name for each in services if _asks(each, service)] + [METRICS]
    sources = "\n".join(
        f'  {{\n    Name   = "{source}"\n    Action = "{action}"\n  }},'
        for source, action in [*((job_name(name), "allow") for name in sorted(askers)), ("*", "deny")]
    )
    return f'{_HEAD}\nKind = "service-intentions"\nName = "{job_name(service.name)}"\nSources = [\n{sources}\n]\n'


def render_policy(service: Service) -> str:
    """What a process of ``service`` may do in Consul."""
    return _HEAD + "".join(
        f'\n{kind} "{name}" {{\n  policy = "{policy}"\n}}\n' for kind, name, policy in _rules(service)
    )


def _rules(service: Service) -> Iterable[tuple[str, str, str]]:
    yield "service", job_name(service.name), "write"
    yield "service_prefix", "mirage-", "read"
    yield "node_prefix", "", "read"
    if CHANGE_SETTINGS in service.answers:
        yield "key_prefix", f"mirage/{KEYS}", "write"
        yield "key_prefix", f"mirage/{SETTINGS}", "write"
    elif "values" in service.needs:
        yield "key_prefix", f"mirage/{KEYS}", "read"
    if service.live:
        yield "key", f"mirage/{SETTINGS}{service.name}", "read"
    if "locks" in service.needs:
        yield "key_prefix", "mirage/lock/", "write"
        yield "session_prefix", "", "write"  # by the name of the node that the process runs on, which nobody knows here


def _asks(asker: Service, asked: Service) -> bool:
    if asker.name == asked.name:
        return False
    if "scheduler" in asker.needs:  # it asks every instance how it is, and what it has measured
        return True
    return bool(asker.public and asked.answers) or any(endpoint.service == asked.name for endpoint in asker.asks)
