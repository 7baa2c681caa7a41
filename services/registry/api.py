"""What the registry answers."""

from collections.abc import Callable
from typing import Any, Final

from services.contracts import endpoints as e
from services.contracts.resources import Module, ModuleRef, ModuleSettings, ModuleVersion
from services.kernel.calls import Caller, Endpoint, Nothing
from services.kernel.service import Ports
from services.registry import usecases


async def list_modules(ports: Ports, caller: Caller, question: Nothing) -> tuple[Module, ...]:
    return await usecases.list_modules(ports, caller)


async def get_module(ports: Ports, caller: Caller, question: ModuleRef) -> Module:
    return await usecases.get_module(ports, caller, question.module)


async def set_module(ports: Ports, caller: Caller, question: ModuleSettings) -> Module:
    return await usecases.set_module(ports, caller, question)


async def list_versions(ports: Ports, caller: Caller, question: Nothing) -> tuple[ModuleVersion, ...]:
    return await usecases.list_versions(ports, caller)


DOORS: Final[dict[Endpoint[Any, Any], Callable[..., Any]]] = {
    e.LIST_MODULES: list_modules,
    e.GET_MODULE: get_module,
    e.SET_MODULE: set_module,
    e.LIST_VERSIONS: list_versions,
}
