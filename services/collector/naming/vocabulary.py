"""Words that host names are made of all over the world, by what they say; the weight is how usual each is, 0..1."""

from typing import Final

ENVIRONMENTS: Final = {
    "dev": 1.0, "test": 0.9, "staging": 0.8, "stage": 0.6, "uat": 0.6, "qa": 0.6, "prod": 0.5, "stg": 0.45,
    "demo": 0.4, "beta": 0.4, "preprod": 0.35, "sandbox": 0.35, "int": 0.3, "old": 0.3, "new": 0.3, "internal": 0.3,
    "acc": 0.25, "tst": 0.25, "live": 0.2, "pre": 0.2, "preview": 0.2, "prd": 0.2, "legacy": 0.15, "backup": 0.15,
    "alpha": 0.15, "lab": 0.15, "training": 0.12, "poc": 0.12, "dr": 0.12, "ext": 0.12, "temp": 0.12, "canary": 0.1,
    "local": 0.1, "nonprod": 0.1, "perf": 0.1, "ci": 0.1, "devel": 0.1, "development": 0.1, "testing": 0.1,
    "production": 0.1, "integration": 0.1, "pilot": 0.08, "bak": 0.08, "tmp": 0.08, "blue": 0.08, "green": 0.08,
    "mock": 0.06, "load": 0.06, "rc": 0.05, "hotfix": 0.05, "release": 0.05, "nightly": 0.05, "next": 0.08,
    "dev1": 0.1, "dev2": 0.1, "test1": 0.08, "test2": 0.08, "qa1": 0.06, "qa2": 0.06, "uat1": 0.05, "uat2": 0.06,
    "stage2": 0.04, "staging2": 0.05, "standby": 0.04, "failover": 0.04, "archive": 0.05, "private": 0.06,
    "public": 0.06, "external": 0.06, "sit": 0.05, "acceptance": 0.03, "edge": 0.06, "trial": 0.03, "debug": 0.03,
    "prev": 0.02, "final": 0.02, "primary": 0.03, "secondary": 0.04, "mgmt": 0.06, "d": 0.03, "t": 0.03, "p": 0.03,
}  # fmt: skip

REGIONS: Final = {
    "us": 0.5, "eu": 0.5, "uk": 0.25, "de": 0.2, "fr": 0.15, "ca": 0.15, "in": 0.12, "au": 0.15, "sg": 0.15, "jp": 0.12,
    "cn": 0.12, "ap": 0.15, "apac": 0.2, "emea": 0.15, "na": 0.15, "asia": 0.12, "east": 0.12, "west": 0.12, "us1": 0.1,
    "us2": 0.1, "eu1": 0.1, "eu2": 0.08, "us-east-1": 0.2, "us-west-2": 0.18, "eu-west-1": 0.2, "eu-central-1": 0.18,
    "us-east-2": 0.1, "us-west-1": 0.1, "eu-west-2": 0.1, "eu-west-3": 0.05, "eu-north-1": 0.05, "ap-south-1": 0.06,
    "ap-southeast-1": 0.1, "ap-southeast-2": 0.08, "ap-northeast-1": 0.08, "sa-east-1": 0.05, "ca-central-1": 0.05,
    "us-east": 0.1, "us-west": 0.1, "eu-west": 0.08, "eu-central": 0.05, "use1": 0.06, "usw2": 0.06, "euw1": 0.06,
    "euc1": 0.04, "use2": 0.03, "apse1": 0.03, "westeurope": 0.04, "northeurope": 0.03, "eastus": 0.04, "westus": 0.03,
    "north": 0.06, "south": 0.06, "central": 0.05, "global": 0.06, "nl": 0.1, "es": 0.08, "it": 0.08, "br": 0.08,
    "mx": 0.05, "ch": 0.05, "at": 0.04, "be": 0.05, "se": 0.04, "pl": 0.05, "hk": 0.06, "kr": 0.05, "latam": 0.05,
    "lon": 0.06, "ams": 0.06, "fra": 0.07, "nyc": 0.06, "sfo": 0.04, "iad": 0.04, "sjc": 0.03, "par": 0.04, "ber": 0.03,
    "sin": 0.05, "syd": 0.04, "tyo": 0.03, "dub": 0.04, "chi": 0.03, "dal": 0.03, "lax": 0.03, "muc": 0.03, "zrh": 0.02,
    "dc1": 0.06, "dc2": 0.06, "lon1": 0.03, "ams1": 0.03, "fra1": 0.04, "nyc1": 0.03, "sgp1": 0.02, "par1": 0.02,
    "a": 0.05, "b": 0.05, "c": 0.03,
}  # fmt: skip

ROLES: Final = {
    "api": 1.0, "app": 0.6, "web": 0.5, "admin": 0.6, "portal": 0.4, "db": 0.4, "cdn": 0.3, "static": 0.25, "auth": 0.3,
    "mobile": 0.25, "m": 0.15, "ws": 0.15, "gateway": 0.2, "gw": 0.2, "proxy": 0.2, "lb": 0.2, "cache": 0.15,
    "mail": 0.15, "vpn": 0.1, "docs": 0.2, "service": 0.2, "services": 0.12, "svc": 0.15, "backend": 0.25,
    "frontend": 0.2, "ui": 0.25, "dashboard": 0.2, "console": 0.15, "login": 0.15, "sso": 0.15, "status": 0.12,
    "cms": 0.15, "img": 0.12, "images": 0.08, "assets": 0.12, "media": 0.12, "data": 0.15, "search": 0.12,
    "worker": 0.12, "jobs": 0.06, "queue": 0.06, "master": 0.1, "slave": 0.05, "node": 0.1, "origin": 0.2, "www": 0.5,
    "server": 0.12, "srv": 0.1, "host": 0.06, "client": 0.08, "internal": 0.12, "core": 0.08, "site": 0.06, "blog": 0.1,
    "shop": 0.08, "store": 0.08, "support": 0.08, "help": 0.06, "files": 0.08, "upload": 0.06, "download": 0.06,
    "monitor": 0.06, "monitoring": 0.05, "metrics": 0.05, "logs": 0.05, "grafana": 0.05, "elastic": 0.04, "redis": 0.05,
    "mysql": 0.05, "sql": 0.06, "mongo": 0.03, "kafka": 0.04, "s3": 0.04, "git": 0.04, "ftp": 0.06, "sftp": 0.04,
    "mgmt": 0.08, "manager": 0.05, "management": 0.04, "tools": 0.05, "bo": 0.05, "backoffice": 0.06, "intranet": 0.05,
    "extranet": 0.03, "partner": 0.05, "partners": 0.04, "public": 0.08, "private": 0.06, "replica": 0.04, "ro": 0.03,
    "rw": 0.02, "read": 0.02, "write": 0.02, "primary": 0.03, "graphql": 0.04, "rest": 0.04, "grpc": 0.03, "rpc": 0.03,
    "webhook": 0.03, "webhooks": 0.03, "callback": 0.02, "events": 0.04, "ingest": 0.03, "collector": 0.03,
    "analytics": 0.06, "reports": 0.05, "reporting": 0.04, "report": 0.04, "batch": 0.04, "scheduler": 0.03,
    "ilo": 0.04, "idrac": 0.03, "ipmi": 0.03, "oob": 0.02, "nat": 0.02, "fw": 0.03, "cluster": 0.04, "k8s": 0.05,
    "v1": 0.12, "v2": 0.15, "v3": 0.08, "v4": 0.03,
}  # fmt: skip

NUMBERS: Final = {
    "1": 0.7, "2": 1.0, "3": 0.5, "4": 0.25, "5": 0.15, "01": 0.5, "02": 0.5, "03": 0.25, "04": 0.1, "0": 0.08,
    "001": 0.05, "002": 0.05, "10": 0.05, "6": 0.06, "7": 0.05, "8": 0.05, "9": 0.04,
    "2022": 0.02, "2023": 0.03, "2024": 0.04, "2025": 0.04, "2026": 0.03,
}  # fmt: skip

# Names that hold digits and are one word all the same.
WHOLE: Final = (
    "s3", "k8s", "k3s", "b2b", "b2c", "c2c", "d2c", "o365", "m365", "oauth2", "ipv4", "ipv6", "mp3", "mp4", "p2p",
    "e2e", "n8n", "2fa", "3ds", "3d", "h2o", "ec2", "l10n", "i18n", "h264", "x509", "md5", "sha1", "pop3", "imap4",
    "log4j", "neo4j",
)  # fmt: skip

CLASSES: Final = {
    **dict.fromkeys(ROLES, "role"),
    **dict.fromkeys(REGIONS, "region"),
    **dict.fromkeys(ENVIRONMENTS, "environment"),
}
