from typing import Final

from services.contracts import endpoints as e
from services.contracts.commands import Record
from services.contracts.settings import ServiceSettings
from services.kernel.service import Service

service: Final = Service(
    name="configuration",
    summary="Keeps provider keys, sealed, and what is set of services while they run, with its history.",
    needs=("sql", "bus", "values", "seal"),
    publishes=(Record,),
    answers=(
        *(e.LIST_KEYS, e.SET_KEY, e.REMOVE_KEY),
        *(e.LIST_SETTINGS, e.GET_SETTINGS, e.CHANGE_SETTINGS, e.LIST_SETTINGS_CHANGES),
    ),
    doors="services.configuration.api:DOORS",
    tasks="services.configuration.usecases.project:TASKS",
    migrations="services.configuration.migrations",
    instances=(1, 2),
    live=ServiceSettings,
)
