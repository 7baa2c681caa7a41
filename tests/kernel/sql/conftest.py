"""The database of these tests, with their table."""

import pytest

from services.kernel.sql import Sql
from tests.kernel.conftest import OpenSql
from tests.kernel.sql.thing import SCHEMA


@pytest.fixture
async def sql(open_sql: OpenSql) -> Sql:
    opened = open_sql()
    await opened.migrate([SCHEMA])
    return opened
