"""RapidDNS: pages of HTML with a hundred records in a table (https://rapiddns.io/)."""

from html import escape
from ipaddress import ip_address, ip_network

from lab.providers import Provider, Request, Response, html
from lab.sightings import known_to, names_at, period
from lab.world import World

PAGE = 100
ROW = """<tr>
<th scope="row ">{number}</th>
<td>{name}</td>
<td><a href="/sameip/{address}#result" target="_blank" title="{address} same ip website">
{address}
</a>
</td>
<td>A</td>
<td>{day}</td>
</tr>
"""
DOCUMENT = """<!doctype html>
<html lang="en"><head><title>{subject} - Rapid DNS Information Collection</title></head>
<body><div class="d-flex flex-row">Total: <span style="color: #39cfca; ">{total}</span></div>
<table class="table table-striped table-bordered" id="table">
<thead><tr><th scope="col">#</th><th scope="col">Domain</th><th scope="col">Address</th><th scope="col">Type</th>
<th scope="col">Date</th></tr></thead>
<tbody>
{rows}</tbody></table>
<ul class="pagination">{next}</ul></body></html>
"""
NEXT = '<li class="page-item"><a class="page-link" href="?page={page}">Next</a></li>'


def answer(world: World, request: Request) -> Response | None:
    _, kind, *subject = request.path.split("/")
    named = "/".join(subject).lower()
    if kind == "subdomain":
        records = [(name, world.last_address(name)) for name in world.known_names("rapiddns", named)]
    elif kind == "sameip":
        records = [
            (name, address) for address in addresses(world, named) for name in names_at(world, "rapiddns", address)
        ]
    else:
        return None
    number = request.parameter("page", "1")
    page = max(1, int(number)) if number.isascii() and number.isdecimal() else 1
    return html(document(world, named, [record for record in records if record[1]], page))


def addresses(world: World, subject: str) -> list[str]:
    try:
        network = ip_network(subject, strict=False)
    except ValueError:
        return []
    return [address.ip for address in world.addresses if ip_address(address.ip) in network]


def document(world: World, subject: str, records: list[tuple[str, str]], page: int) -> str:
    shown = records[(page - 1) * PAGE : page * PAGE]
    rows = "".join(
        ROW.format(
            number=number, name=name, address=address, day=period(world, "rapiddns", name)[1].strftime("%Y-%m-%d")
        )
        for number, (name, address) in enumerate(shown, (page - 1) * PAGE + 1)
    )
    more = NEXT.format(page=page + 1) if len(records) > page * PAGE else ""
    return DOCUMENT.format(subject=escape(subject), total=len(records), rows=rows, next=more)


def states(world: World) -> list[tuple[str, ...]]:
    """Other people's names at addresses that the target shares."""
    known = set(known_to(world, "rapiddns"))
    return [("hostname", stranger.name) for stranger in world.strangers if stranger.name not in known]


PROVIDER = Provider(id="rapiddns", hosts=("rapiddns.io",), answer=answer, states=states)
