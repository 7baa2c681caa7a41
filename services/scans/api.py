"""The doors of this service: endpoint to function."""

from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

from services.contracts import endpoints as e
from services.contracts import resources as r
from services.contracts.plan import Plan
from services.contracts.subjects import Names
from services.kernel.calls import Caller, Endpoint, Nothing
from services.kernel.service import Ports
from services.scans.usecases import authorise, create, lease, lifecycle, look, progress, quotas, retention


async def create_scan(ports: Ports, caller: Caller, new: r.NewScan) -> r.Scan:
    return await look.get(ports, caller, await create.create(ports, caller, new))


async def preview_scan(ports: Ports, caller: Caller, new: r.NewScan) -> r.Preview:
    return await create.preview_scan(ports, caller, new)


async def list_scans(ports: Ports, caller: Caller, _: Nothing) -> tuple[r.ScanSummary, ...]:
    return await look.newest(ports, caller)


async def get_scan(ports: Ports, caller: Caller, ref: r.ScanRef) -> r.Scan:
    return await look.find(ports, caller, ref.scan)


async def pause_scan(ports: Ports, caller: Caller, ref: r.ScanId) -> r.Scan:
    await lifecycle.pause(ports, caller, ref.scan)
    return await look.get(ports, caller, ref.scan)


async def resume_scan(ports: Ports, caller: Caller, ref: r.ScanId) -> r.Scan:
    await lifecycle.resume(ports, caller, ref.scan)
    return await look.get(ports, caller, ref.scan)


async def stop_scan(ports: Ports, caller: Caller, ref: r.ScanId) -> r.Scan:
    await lifecycle.stop(ports, caller, ref.scan)
    return await look.get(ports, caller, ref.scan)


async def retry_scan(ports: Ports, caller: Caller, ref: r.ScanId) -> r.Scan:
    await lifecycle.retry(ports, caller, ref.scan)
    return await look.get(ports, caller, ref.scan)


async def delete_scan(ports: Ports, caller: Caller, ref: r.ScanId) -> Nothing:
    await lifecycle.delete(ports, caller, ref.scan)
    return Nothing()


async def swept_by_scans(ports: Ports, caller: Caller, ref: r.ScanId) -> r.Swept:
    return await look.swept(ports, caller, ref.scan)


def watch_scan(ports: Ports, caller: Caller, watch: r.Watch) -> AsyncGenerator[r.Watched, None]:
    return progress.follow(ports, caller, watch)


async def get_plan(ports: Ports, caller: Caller, ref: r.ScanId) -> Plan:
    return await look.plan(ports, caller, ref.scan)


async def list_items(ports: Ports, caller: Caller, query: r.ItemsQuery) -> tuple[r.Item, ...]:
    return await look.items(ports, caller, query)


async def get_standing(ports: Ports, caller: Caller, query: r.StandingQuery) -> r.Standing:
    return await look.standing(ports, caller, query.scan, query.value)


async def get_names(ports: Ports, caller: Caller, query: r.NamesQuery) -> Names:
    return await look.names(ports, caller, query.scan, query.digest)


async def renew_leases(ports: Ports, caller: Caller, renewal: r.Renew) -> r.Renewed:
    return r.Renewed(await lease.renew(ports, caller, renewal.batches, renewal.pauses))


async def find_expired(ports: Ports, caller: Caller, question: r.Retention) -> tuple[r.ScanSummary, ...]:
    return await retention.find_expired(ports, caller, question)


DOORS: Final[dict[Endpoint[Any, Any], Callable[..., Any]]] = {
    e.CREATE_SCAN: create_scan,
    e.PREVIEW_SCAN: preview_scan,
    e.LIST_SCANS: list_scans,
    e.GET_SCAN: get_scan,
    e.PAUSE_SCAN: pause_scan,
    e.RESUME_SCAN: resume_scan,
    e.STOP_SCAN: stop_scan,
    e.RETRY_SCAN: retry_scan,
    e.DELETE_SCAN: delete_scan,
    e.SWEPT_BY_SCANS: swept_by_scans,
    e.WATCH_SCAN: watch_scan,
    e.GET_PLAN: get_plan,
    e.GET_AUTHORISATION: authorise.get,
    e.GET_WORK_USED: quotas.get_work_used,
    e.LIST_ITEMS: list_items,
    e.GET_STANDING: get_standing,
    e.GET_NAMES: get_names,
    e.RENEW_LEASES: renew_leases,
    e.FIND_EXPIRED: find_expired,
}
