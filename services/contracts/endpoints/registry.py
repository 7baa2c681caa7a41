"""What registry is asked."""

from typing import Final

from services.contracts import resources as r
from services.kernel.calls import Endpoint, Nothing

LIST_MODULES: Final = Endpoint(
    service="registry", name="list_modules", method="GET", path="/v1/modules", needs="modules.read",
    takes=Nothing, answers=tuple[r.Module, ...], summary="List modules with their health and settings.",
)  # fmt: skip
GET_MODULE: Final = Endpoint(
    service="registry", name="get_module", method="GET", path="/v1/modules/{module}", needs="modules.read",
    takes=r.ModuleRef, answers=r.Module, summary="Show a module.",
)  # fmt: skip
SET_MODULE: Final = Endpoint(
    service="registry", name="set_module", method="PUT", path="/v1/modules/{module}", needs="modules.set",
    takes=r.ModuleSettings, answers=r.Module, summary="Enable, disable or configure a module for this workspace.",
)  # fmt: skip
LIST_VERSIONS: Final = Endpoint(
    service="registry", name="list_versions", method="GET", path="/v1/versions",
    takes=Nothing, answers=tuple[r.ModuleVersion, ...],
    summary="List the modules of all collectors that are there, in each version that one of them has.",
)  # fmt: skip
