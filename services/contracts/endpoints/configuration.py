"""What configuration is asked."""

from typing import Final

from services.contracts import resources as r
from services.kernel.calls import Endpoint, Nothing

LIST_KEYS: Final = Endpoint(
    service="configuration", name="list_keys", method="GET", path="/v1/keys", needs="keys.read",
    takes=Nothing, answers=tuple[r.KeyView, ...],
    summary="List provider keys that are set, never their values.", within=False,
)  # fmt: skip
SET_KEY: Final = Endpoint(
    service="configuration", name="set_key", method="PUT", path="/v1/keys/{name}", needs="keys.set",
    takes=r.NewKey, answers=r.KeyView, summary="Set a provider key.", within=False,
)  # fmt: skip
REMOVE_KEY: Final = Endpoint(
    service="configuration", name="remove_key", method="DELETE", path="/v1/keys/{name}", needs="keys.set",
    takes=r.KeyName, answers=Nothing, summary="Forget a provider key.", within=False,
)  # fmt: skip
LIST_SETTINGS: Final = Endpoint(
    service="configuration", name="list_settings", method="GET", path="/v1/settings", needs="settings.read",
    takes=Nothing, answers=tuple[r.SettingsView, ...],
    summary="List what is set of services while they run.", within=False,
)  # fmt: skip
GET_SETTINGS: Final = Endpoint(
    service="configuration", name="get_settings", method="GET", path="/v1/settings/{service}", needs="settings.read",
    takes=r.SettingsRef, answers=r.SettingsView, summary="Show what is set of a service.", within=False,
)  # fmt: skip
CHANGE_SETTINGS: Final = Endpoint(
    service="configuration", name="change_settings", method="PUT", path="/v1/settings/{service}", needs="settings.set",
    takes=r.ChangeSettings, answers=r.SettingsView,
    summary="Set values of a service while it runs.", within=False, idempotent=False,
    audited_for=("discovery",),
)  # fmt: skip
LIST_SETTINGS_CHANGES: Final = Endpoint(
    service="configuration", name="list_settings_changes", method="GET", path="/v1/settings/{service}/changes",
    needs="settings.read",
    takes=r.SettingsRef, answers=tuple[r.SettingsView, ...],
    summary="List how a service was set before, the newest first: who changed it, when and why.", within=False,
)  # fmt: skip
