"""The answers of web hosts: pages, scripts, icons, robots.txt and their like, from what a site says of itself."""

from html import escape

from lab.providers import Response
from lab.world import Host, Page, Site, Stranger, Wildcard, World

TRACKERS = {
    "google_analytics": (
        '<script async src="https://www.googletagmanager.com/gtag/js?id={0}"></script>'
        "<script>window.dataLayer=window.dataLayer||[];function gtag(){{dataLayer.push(arguments);}}"
        "gtag('js',new Date());gtag('config','{0}');</script>"
    ),
    "google_tag_manager": (
        "<script>(function(w,d,s,l,i){{w[l]=w[l]||[];var j=d.createElement(s);"
        "j.src='https://www.googletagmanager.com/gtm.js?id='+i;}})"
        "(window,document,'script','dataLayer','{0}');</script>"
    ),
    "facebook_pixel": "<script>fbq('init','{0}');fbq('track','PageView');</script>",
    "hotjar": (
        "<script>(function(h){{h._hjSettings={{hjid:{0},hjsv:6}};}})(window);</script>"
        '<script src="https://static.hotjar.com/c/hotjar-{0}.js?sv=6"></script>'
    ),
}
LIBRARIES = ("/assets/jquery-3.6.4.min.js", "/assets/bootstrap-5.3.2.min.css", "/program/js/app.min.js")
HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"


def respond(world: World, host: Host, scheme: str, path: str) -> Response:
    """What the site of `host` answers to a GET for `path` (without the query)."""
    site = host.site
    assert site is not None
    if scheme == "http" and site.certificate:
        return _moved(f"https://{host.name}{path}", 301)
    special = _special(world, site, path)
    if special is not None:
        return special
    if site.redirect is not None and path == "/":
        return _moved(site.redirect, 302, _headers(site))
    page = next((page for page in site.pages if page.path == path), None)
    if page is None:
        return not_found(site)
    return _typed(site.status, HTML, render(site, page).encode(), _headers(site))


def _headers(site: Site) -> tuple[tuple[str, str], ...]:
    cookies = tuple(
        ("Set-Cookie", f"{product.cookie}=5f1d0c7ab2; Path=/; HttpOnly")
        for product in site.technologies
        if product.cookie
    )
    return (*site.headers, *cookies)


def _typed(status: int, media_type: str, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    return Response(status=status, headers=(("Content-Type", media_type), *headers), body=body)


def _moved(location: str, status: int, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    body = f'<html><head><title>Moved</title></head><body><a href="{escape(location)}">here</a></body></html>'
    return _typed(status, HTML, body.encode(), (*headers, ("Location", location)))


def _special(world: World, site: Site, path: str) -> Response | None:
    """The well-known paths."""
    if path == "/favicon.ico" and site.favicon:
        return _typed(200, "image/x-icon", site.favicon)
    if path == "/robots.txt" and site.robots:
        sitemap = f"Sitemap: https://{site.host}/sitemap.xml\n" if site.sitemap else ""
        return _typed(200, TEXT, ("User-agent: *\n" + "\n".join(site.robots) + f"\n{sitemap}").encode())
    if path == "/sitemap.xml" and site.sitemap:
        return _typed(200, "application/xml", sitemap_document(site.sitemap).encode())
    if path == "/assets/app.js" and site.script:
        lines = [f'const endpoint{number} = "{url}";' for number, url in enumerate(site.script)]
        return _typed(200, "text/javascript", ("\n".join(lines) + "\nfetch(endpoint0);\n").encode())
    if path in LIBRARIES:
        return _typed(200, "text/css" if path.endswith("css") else "text/javascript", b"/* library */\n")
    if path == "/.well-known/security.txt" and site.security_contact:
        return _typed(200, TEXT, security_text(site).encode())
    if path == "/.well-known/mta-sts.txt" and site.host == f"mta-sts.{world.domain}":
        exchangers = [
            record.value.split()[1].rstrip(".")
            for zone in world.zones
            if zone.name == world.domain
            for record in zone.records
            if record.type == "MX" and record.owner == world.domain
        ]
        lines = ["version: STSv1", "mode: enforce", *(f"mx: {name}" for name in exchangers), "max_age: 604800"]
        return _typed(200, TEXT, ("\r\n".join(lines) + "\r\n").encode())
    if path == "/brand/logo.svg":
        return _typed(200, "image/svg+xml", b'<svg xmlns="http://www.w3.org/2000/svg" baseProfile="tiny-ps"/>')
    return None


def sitemap_document(urls: tuple[str, ...]) -> str:
    """A sitemap (https://www.sitemaps.org/protocol.html)."""
    entries = "".join(f"<url><loc>{escape(url)}</loc></url>" for url in urls)
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return f'{head}<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</urlset>'


def security_text(site: Site) -> str:
    """A security.txt (RFC 9116)."""
    return (
        f"Contact: mailto:{site.security_contact}\nExpires: {site.security_expires:%Y-%m-%dT%H:%M:%SZ}\n"
        "Preferred-Languages: en\n"
        f"Canonical: https://{site.host}/.well-known/security.txt\n"
    )


def render(site: Site, page: Page) -> str:
    """A page of a site as HTML."""
    trackers = "".join(TRACKERS[kind].format(identity) for kind, identity in site.trackers)
    markup = "".join(product.markup for product in site.technologies)
    script = '<script src="/assets/app.js" defer></script>' if site.script else ""
    links = "".join(f'<li><a href="{escape(url)}">{escape(url)}</a></li>' for url in page.links)
    contacts = [f'<a href="mailto:{email}">{email}</a>' for email in page.emails]
    contacts += [f'<a href="tel:{phone}">{phone}</a>' for phone in page.phones]
    contacts += [f'<a rel="me" href="{escape(url)}">{escape(url)}</a>' for url in page.accounts]
    contacts += [f"<code>{address}</code>" for address in page.crypto_addresses]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(page.title)}</title>'
        f'<link rel="icon" href="/favicon.ico">{markup}{trackers}{script}</head><body><h1>{escape(page.title)}</h1>'
        f"<p>{escape(page.text)}</p>{page.markup}<ul>{links}</ul><p>{' '.join(contacts)}</p></body></html>"
    )


def not_found(site: Site | None = None) -> Response:
    """What a server says of a path, or of a host, that it does not have."""
    server = tuple(header for header in site.headers if header[0] == "Server") if site else (("Server", "nginx"),)
    body = b"<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>"
    return _typed(404, HTML, body, server)


def stranger_page(stranger: Stranger) -> Response:
    """The page of somebody who is none of our business."""
    body = f"<html><head><title>{stranger.name}</title></head><body>Open Tuesday to Saturday.</body></html>"
    return _typed(200, HTML, body.encode(), (("Server", "nginx"),))


def wildcard_page(wildcard: Wildcard) -> Response:
    """The page that every name below a wildcard has."""
    body = (
        f"<html><head><title>No such tenant</title></head><body>{wildcard.owner[2:]} has no such tenant.</body></html>"
    )
    return _typed(200, HTML, body.encode(), (("Server", "nginx"),))
