"""The things that Mirage knows: 36 types, each with one normal form and a function that builds it.

`entity` builds any of them by its type. Every constructor raises `Malformed` for a text that has no normal form.
"""

from services.contracts.claims import Entity, Malformed
from services.contracts.entities.addresses import asn, ip_address, mac_address, netblock, service, wifi_network
from services.contracts.entities.dns import dns_record, domain, hostname, name, registered_domain
from services.contracts.entities.exposure import breach, credential, crypto_key, publication, vulnerability
from services.contracts.entities.money import crypto_address, payment_instrument, transaction
from services.contracts.entities.people import (
    account,
    coordinates,
    email_address,
    identifier,
    location,
    organization,
    person,
    phone_number,
    registration,
    username,
)
from services.contracts.entities.table import ENTITY_TYPES, EntityType, entity
from services.contracts.entities.urls import host_of, url
from services.contracts.entities.web import (
    certificate,
    cloud_resource,
    cloud_tenant,
    code_repository,
    file,
    fingerprint,
    mobile_app,
    technology,
    web_tracker,
)
from services.contracts.names import unwildcard

__all__ = [
    "ENTITY_TYPES",
    "Entity",
    "EntityType",
    "Malformed",
    "account",
    "asn",
    "breach",
    "certificate",
    "cloud_resource",
    "cloud_tenant",
    "code_repository",
    "coordinates",
    "credential",
    "crypto_address",
    "crypto_key",
    "dns_record",
    "domain",
    "email_address",
    "entity",
    "file",
    "fingerprint",
    "host_of",
    "hostname",
    "identifier",
    "ip_address",
    "location",
    "mac_address",
    "mobile_app",
    "name",
    "netblock",
    "organization",
    "payment_instrument",
    "person",
    "phone_number",
    "publication",
    "registered_domain",
    "registration",
    "service",
    "technology",
    "transaction",
    "unwildcard",
    "url",
    "username",
    "vulnerability",
    "web_tracker",
    "wifi_network",
]
