"""Where provider keys are shared, sealed: below `KEYS` by their names, once `PROJECTED` is there too."""

from typing import Final

KEYS: Final = "keys/"
PROJECTED: Final = "keys/.projected"
#: As what the keys begin by which Mirage shows itself to providers of logins, before the provider's name.
OF_LOGINS: Final = "oidc_"
