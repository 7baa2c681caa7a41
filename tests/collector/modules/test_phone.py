"""Areas and carriers are found in the library's tables as the library finds them, without its memory."""

import subprocess
import sys

import pytest

from services.collector.archetypes.numbering import area_of, carrier_of


@pytest.mark.parametrize(
    ("number", "area"),
    [("+441514960000", "Liverpool"), ("+12125550100", "New York, NY"), ("+4930123456", "Berlin"), ("+9991234", "")],
)
def test_the_area_is_that_of_the_longest_prefix(number: str, area: str) -> None:
    assert area_of(number) == area


@pytest.mark.parametrize(("number", "carrier"), [("+447400123456", "Three"), ("+441514960000", ""), ("+1", "")])
def test_the_carrier_is_that_of_the_longest_prefix(number: str, carrier: str) -> None:
    assert carrier_of(number) == carrier


def test_looking_up_loads_no_table() -> None:
    code = (
        "import sys\n"
        "from services.collector.archetypes.numbering import area_of, carrier_of\n"
        "assert area_of('+441514960000') and carrier_of('+447400123456')\n"
        "assert not {'phonenumbers.geodata', 'phonenumbers.carrierdata'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
