"""What a phone number tells by itself, from the numbering plans that come with the library: country, kind of line,
area, carrier, time zone, and how it is written. Nobody is asked and nobody learns anything. The tables of areas and
carriers are searched as files: loaded by the library they would take 190 MB of memory.
"""

from collections.abc import AsyncIterator, Iterator

from services.collector.archetypes.names import weighed
from services.collector.archetypes.numbering import area_of, carrier_of
from services.collector.archetypes.sound import described, sound
from services.collector.context import Answer, Context
from services.collector.manifest import Manifest
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity

MANIFEST = Manifest(
    id="phone",
    version=1,
    title="Numbering plans",
    activity="passive",
    source="https://github.com/google/libphonenumber",
    format="https://github.com/daviddrysdale/python-phonenumbers",
    consumes=("phone_number",),
    produces=("phone_number", "location", "located_at"),
    rate=0.0,
    concurrency=16,
    cost=0.0,
    freshness=31_536_000,
    timeout=30.0,
    licence="Apache-2.0",
)

LINES = {
    "FIXED_LINE": "fixed",
    "MOBILE": "mobile",
    "FIXED_LINE_OR_MOBILE": "fixed or mobile",
    "TOLL_FREE": "toll_free",
    "PREMIUM_RATE": "premium",
    "SHARED_COST": "shared_cost",
    "VOIP": "voip",
    "PERSONAL_NUMBER": "personal",
    "PAGER": "pager",
    "UAN": "company",
    "VOICEMAIL": "voicemail",
}
BY_PLAN = 80  # numbers are carried over to other carriers, and people to other countries


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    yield Answer(at=ctx.now)


def parse(answer: Answer, seen: Entity) -> Iterator[Claim]:
    import phonenumbers
    from phonenumbers import PhoneNumberFormat, PhoneNumberType, timezone

    try:
        number = phonenumbers.parse(seen.value)
    except phonenumbers.NumberParseException:
        return  # of no country's plan, so nothing can be said of it
    valid = phonenumbers.is_valid_number(number)
    region = phonenumbers.region_code_for_number(number) if valid else ""
    country = region if region and region.isalpha() else None
    yield from described(
        seen,
        valid=valid,
        country=country,
        national_format=phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL),
        international_format=phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL),
    )
    if not valid:
        return
    kind = PhoneNumberType.to_string(phonenumbers.number_type(number))
    zones = [zone for zone in timezone.time_zones_for_number(number) if zone != timezone.UNKNOWN_TIMEZONE]
    yield from described(
        seen,
        line_type=LINES.get(kind),
        carrier=carrier_of(seen.value),
        numbering_area=area_of(seen.value),
        time_zone=zones if len(zones) <= 5 else None,
    )
    location = sound(entities.location, "country", country) if country else None
    if location is not None:
        yield weighed(relations.located_at(seen, location, basis="registered"), BY_PLAN)
