"""Products that sites of the lab run, and which site runs which."""

import hashlib
import random

from lab.world import Technology

NGINX = Technology(
    vendor="f5", product="nginx", version="1.24.0", category="web server", headers=(("Server", "nginx/1.24.0"),)
)
APACHE = Technology(
    vendor="apache",
    product="http_server",
    version="2.4.57",
    category="web server",
    headers=(("Server", "Apache/2.4.57 (Debian)"),),
)
IIS = Technology(
    vendor="microsoft",
    product="internet_information_services",
    version="10.0",
    category="web server",
    headers=(("Server", "Microsoft-IIS/10.0"),),
)
EDGERAY = Technology(
    vendor="edgeray",
    product="edge",
    version="",
    category="cdn",
    headers=(("Server", "edgeray"), ("Via", "1.1 lpl2.edgeray.example")),
)
PHP = Technology(
    vendor="php", product="php", version="8.2.18", category="language", headers=(("X-Powered-By", "PHP/8.2.18"),)
)
EXPRESS = Technology(
    vendor="openjsf", product="express", version="", category="framework", headers=(("X-Powered-By", "Express"),)
)
ASP_NET = Technology(
    vendor="microsoft",
    product="asp.net",
    version="4.0.30319",
    category="framework",
    headers=(("X-Powered-By", "ASP.NET"), ("X-AspNet-Version", "4.0.30319")),
    cookie="ASP.NET_SessionId",
)
JAVA = Technology(vendor="oracle", product="java", version="", category="language", cookie="JSESSIONID")
WORDPRESS = Technology(
    vendor="wordpress",
    product="wordpress",
    version="6.5.3",
    category="cms",
    markup='<meta name="generator" content="WordPress 6.5.3">'
    '<link rel="stylesheet" href="/wp-content/themes/tideline/style.css?ver=6.5.3">',
)
DRUPAL = Technology(
    vendor="drupal",
    product="drupal",
    version="10",
    category="cms",
    headers=(("X-Generator", "Drupal 10 (https://www.drupal.org)"),),
    markup='<meta name="Generator" content="Drupal 10 (https://www.drupal.org)">',
)
JQUERY = Technology(
    vendor="jquery",
    product="jquery",
    version="3.6.4",
    category="script library",
    markup='<script src="/assets/jquery-3.6.4.min.js"></script>',
)
BOOTSTRAP = Technology(
    vendor="getbootstrap",
    product="bootstrap",
    version="5.3.2",
    category="style library",
    markup='<link rel="stylesheet" href="/assets/bootstrap-5.3.2.min.css">',
)
JENKINS = Technology(
    vendor="jenkins", product="jenkins", version="2.440.1", category="ci", headers=(("X-Jenkins", "2.440.1"),)
)
GITLAB = Technology(
    vendor="gitlab",
    product="gitlab",
    version="",
    category="forge",
    markup='<meta content="GitLab" property="og:site_name">',
    cookie="_gitlab_session",
)
GRAFANA = Technology(
    vendor="grafana",
    product="grafana",
    version="10.4.2",
    category="monitoring",
    markup='<script>window.grafanaBootData={"settings":{"buildInfo":{"version":"10.4.2"}}};</script>',
)
JIRA = Technology(
    vendor="atlassian",
    product="jira",
    version="9.12.4",
    category="issue tracker",
    headers=(("X-AREQUESTID", "541x1204x1"),),
    markup='<meta name="application-name" content="JIRA" data-name="jira" data-version="9.12.4">',
)
CONFLUENCE = Technology(
    vendor="atlassian",
    product="confluence",
    version="8.5.6",
    category="wiki",
    headers=(("X-Confluence-Request-Time", "1793523600000"),),
    markup='<meta name="ajs-version-number" content="8.5.6">',
)
ROUNDCUBE = Technology(
    vendor="roundcube",
    product="webmail",
    version="",
    category="webmail",
    markup='<script src="/program/js/app.min.js"></script>',
    cookie="roundcube_sessid",
)

STACKS = (
    (NGINX, PHP, JQUERY),
    (NGINX, EXPRESS, BOOTSTRAP),
    (APACHE, PHP, BOOTSTRAP, JQUERY),
    (IIS, ASP_NET, JQUERY),
    (NGINX,),
    (APACHE, JAVA),
    (NGINX, JAVA, BOOTSTRAP),
    (APACHE, DRUPAL, PHP),
)

NAMED: dict[str, tuple[str, tuple[Technology, ...]]] = {
    "www": ("Halyard Freight: containers, customs and the last mile", (NGINX, DRUPAL, PHP, JQUERY)),
    "blog": ("Tideline, the Halyard Freight blog", (NGINX, WORDPRESS, PHP, JQUERY)),
    "careers": ("Careers at Halyard Freight", (NGINX, WORDPRESS, PHP)),
    "shop": ("Halyard Supplies", (APACHE, PHP, JQUERY)),
    "portal": ("Customer portal - Halyard Freight", (IIS, ASP_NET, BOOTSTRAP)),
    "track": ("Track your shipment", (NGINX, EXPRESS, BOOTSTRAP)),
    "tracking": ("Tracking API", (NGINX, EXPRESS)),
    "api": ("Halyard API", (NGINX, EXPRESS)),
    "docs": ("Halyard API documentation", (NGINX, BOOTSTRAP)),
    "status": ("All systems sailing", (NGINX,)),
    "support": ("Help centre", (NGINX, PHP, BOOTSTRAP)),
    "git": ("Sign in · GitLab", (NGINX, GITLAB)),
    "jira": ("System Dashboard - Halyard Jira", (APACHE, JAVA, JIRA)),
    "wiki": ("Log In - Halyard Wiki", (APACHE, JAVA, CONFLUENCE)),
    "grafana": ("Grafana", (NGINX, GRAFANA)),
    "mon": ("Grafana", (NGINX, GRAFANA)),
    "jenkins": ("Dashboard [Jenkins]", (JENKINS,)),
    "webmail": ("Halyard Webmail", (APACHE, PHP, ROUNDCUBE)),
    "mail": ("Halyard Webmail", (APACHE, PHP, ROUNDCUBE)),
}


def technologies(label: str, organisation: str, rng: random.Random) -> tuple[str, tuple[Technology, ...]]:
    """The title and the products of a site by the first label of its name."""
    if label in NAMED:
        return NAMED[label]
    return f"{label.replace('-', ' ').capitalize()} - {organisation}", rng.choice(STACKS)


def favicon(subject: str) -> bytes:
    """An icon file of 198 bytes that differs by subject; its image is not meant to be looked at."""
    noise = hashlib.sha512(subject.encode()).digest()
    image = b"\x28\0\0\0\x08\0\0\0\x10\0\0\0\x01\0\x08\0" + noise * 2 + noise[:32]
    return b"\0\0\x01\0\x01\0\x08\x08\0\0\x01\0\x08\0" + len(image).to_bytes(4, "little") + b"\x16\0\0\0" + image
