"""What users hears."""

from typing import Final

from services.contracts.commands import Record
from services.kernel.service import Handles
from services.users.usecases import audit

CONSUMERS: Final = (Handles(name="record", takes=Record, handle=audit.record, batch=500, everywhere="also"),)
