"""Attributes that a person gives, and those that anything may have."""

from services.contracts.attributes.row import ANY, WEB, row

ROWS = (
    # What a person says of a thing
    row("note", ANY, "A remark by a person.", many=True, stix="x_mirage_note"),
    row("label", ANY, "A tag by a person or of an import.", many=True, stix="labels"),
    row("false_positive", ANY, "A person says that this is no fact.", bool),
    row("watched", ANY, "A person wants to hear of changes.", bool),
    # What anything may have
    row("display_name", ANY, "What it is called where it was seen.", many=True, stix="name", spiderfoot="HUMAN_NAME"),
    row(
        "description",
        ANY,
        "What it says of itself, or a source of it.",
        stix="description",
        spiderfoot="DESCRIPTION_ABSTRACT",
    ),
    row("category", ANY, "A kind that a source puts it in.", many=True, spiderfoot="DESCRIPTION_CATEGORY"),
    row("tag", ANY, "A mark that a source puts on it.", many=True, stix="labels"),
    row("created_at", ANY, "When it came to be.", int, "us", stix="created"),
    row("updated_at", ANY, "When it was last changed.", int, "us", stix="modified"),
    row("expires_at", ANY, "When it ends.", int, "us", stix="valid_until"),
    row("status", ANY, "What state its register says it is in.", many=True),
    row(
        "website",
        "organization account person asn mobile_app code_repository netblock",
        "Its page elsewhere.",
        many=True,
        stix="x_mirage_website",
    ),
    row(
        "country",
        ANY,
        "ISO 3166-1 alpha-2 code of the country it belongs to.",
        stix="country",
        spiderfoot="COUNTRY_NAME",
    ),
    row("language", "url publication account code_repository mobile_app", "Its main language.", many=True, stix="lang"),
    row("first_archived_at", WEB, "First time that an archive kept it.", int, "us", stix="first_observed"),
    row("last_archived_at", WEB, "Last time that an archive kept it.", int, "us", stix="last_observed"),
    row("reference", ANY, "Where a source tells more of it.", many=True, stix="external_references"),
    row("source_id", ANY, "Its number at the source that tells of it.", many=True),
)
