"""DNS of the lab: a recursive resolver that knows every zone, and the authoritative servers, each with its log."""

from lab.dns.catalog import Catalog
from lab.dns.server import DnsServer

__all__ = ["Catalog", "DnsServer"]
