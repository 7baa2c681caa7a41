"""How a process is set up: flag over environment over file over default, read once at the start.

The environment variable of a setting is ``MIRAGE_`` and its name in capitals; the file is TOML with the settings'
names, ``mirage/config.toml`` in the configuration folder of the XDG base directory specification
(https://specifications.freedesktop.org/basedir/latest/).
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Struct

from services.kernel.errors import Invalid
from services.kernel.server import masked

PREFIX: Final = "MIRAGE_"
#: Variables that other programs know, taken where Mirage's own say nothing: the first that is set, as curl and Python
#: read them, small letters first. There is one proxy, since all that takes it goes through it by CONNECT.
COMMON: Final = {
    "ca_file": ("SSL_CERT_FILE",),
    "proxy": ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "http_proxy", "HTTP_PROXY"),
    "no_proxy": ("no_proxy", "NO_PROXY"),
}

#: Who makes a process of a fleet known: it itself, Nomad by its job, or nobody.
Registrar = Literal["self", "nomad", "off"]
Level = Literal["debug", "info", "warning", "error", "critical"]


class Settings(Struct, frozen=True, kw_only=True):
    """The settings of a process.

    ``data``: the data folder. ``resolvers``: ``address[:port]`` of recursive resolvers; the system's when empty.
    ``proxy``: ``http://host:port`` for passive sources and login providers. ``no_proxy``: names and networks of those
    that are reached directly. ``dial_table``: a file that maps every address that may be dialled (see
    `services.kernel.egress.dial`). ``ca_file``: certificates to trust instead of the system's.
    ``listen``: where HTTP is served. ``log``: the least level that is logged. ``user_agent``: how HTTP sources see us.

    ``sql``, ``bus``, ``documents``, ``blobs``, ``search``, ``graph``, ``cache``, ``directory``, ``values``, ``locks``,
    ``scheduler``: the server of each port (see `services.kernel.server`); where one is empty, it is a file of the data
    folder or this process. ``tls_ca``, ``tls_cert``, ``tls_key``: whom their TLS believes, and what we show them.
    ``connections``: how many a process holds at most for each port whose server takes one for each question (not the
    bus, Consul and Nomad), and one more to see whether it lives; on PostgreSQL a task that holds one may have others
    beyond that. ``replicas``: on how many servers of a cluster the bus keeps a message (1, 3 or 5); more where it says
    so, less only where an operator of the cluster does.
    ``advertise``: where others reach a process of a fleet, if not where it listens; ``instance``: its id among its
    like, made up if none is given; ``revision``: of the code that it runs, beside its version; ``register``: who makes
    it known.
    ``public``: where a gateway listens for the world. ``trusted_proxies``: addresses and networks of those servers
    before it (and before `mirage up`) that say in X-Forwarded-For where a request comes from. ``server``: the
    address of a fleet that the command line asks, instead of a data folder. ``plain_http``: hosts beside this one that
    the command line tells passwords and tokens without encryption. ``master_key``: what provider keys are
    sealed under (`services.kernel.seal`); without one it is a file of the data folder. ``signing_keys``: by which the
    services of a process say that it is they who ask others, ``peers``: the public ones of all, by which they know
    who asks them (`services.kernel.principals`).
    """

    data: str = ""
    resolvers: tuple[str, ...] = ()
    proxy: str = ""
    no_proxy: tuple[str, ...] = ()
    dial_table: str = ""
    ca_file: str = ""
    listen: str = "127.0.0.1:8080"
    log: Level = "info"
    user_agent: str = "Mirage/0.1 (+https://github.com/mirage-osint/mirage)"
    sql: str = ""
    bus: str = ""
    documents: str = ""
    blobs: str = ""
    search: str = ""
    graph: str = ""
    cache: str = ""
    directory: str = ""
    values: str = ""
    locks: str = ""
    scheduler: str = ""
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    connections: Annotated[int, msgspec.Meta(ge=1)] = 8
    replicas: int = 1
    advertise: str = ""
    instance: str = ""
    revision: str = ""
    register: Registrar = "self"
    public: str = "127.0.0.1:8080"
    trusted_proxies: tuple[str, ...] = ()
    master_key: str = ""
    signing_keys: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    server: str = ""
    plain_http: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Without what is secret: passwords in URLs, and keys."""
        said = (f"{name}={_shown(name, value)}" for name, value in self._set())
        return f"Settings({', '.join(said)})"

    def _set(self) -> Iterator[tuple[str, Any]]:
        return ((name, value) for name in FIELDS if (value := getattr(self, name)) != DEFAULTS[name])

    @property
    def folder(self) -> Path:
        """The data folder, by the XDG base directory specification when none is set."""
        if self.data:
            return Path(self.data).expanduser().absolute()
        return _xdg(os.environ, "XDG_DATA_HOME", "~/.local/share") / "mirage"


def _shown(name: str, value: Any) -> str:
    if name in SECRET:
        return "'***'"
    return repr(masked(value) if isinstance(value, str) else value)


#: Settings that are secret as a whole.
SECRET: Final = frozenset({"master_key", "signing_keys"})
FIELDS: Final = {field.name: field.type for field in msgspec.structs.fields(Settings)}
DEFAULTS: Final = {field.name: field.default for field in msgspec.structs.fields(Settings)}


def read_settings(flags: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Merge the sources; a flag that is None or empty was not given.

    Raises:
        Invalid: names the setting that is wrong, and where it was said.
    """
    settings: dict[str, Any] = {}
    file = config_folder(environ) / "config.toml"
    for name, value in _read_file(file).items():
        settings[name] = _check(name, value, str(file))
    for name in FIELDS:
        own = PREFIX + name.upper()
        for variable in (own, *(() if name in settings else COMMON.get(name, ()))):
            if environ.get(variable):
                settings[name] = _check(name, _split(name, environ[variable]), variable)
                break
    for name, value in flags.items():
        if value not in (None, (), ""):
            settings[name] = _check(name, value, f"--{name.replace('_', '-')}")
    return Settings(**settings)


def config_folder(environ: Mapping[str, str]) -> Path:
    """Where a user's configuration is."""
    return _xdg(environ, "XDG_CONFIG_HOME", "~/.config") / "mirage"


def _check(name: str, value: Any, where: str) -> Any:
    if name not in FIELDS:
        raise Invalid(f"{where}: there is no setting {name}; there are {', '.join(FIELDS)}")
    try:
        return msgspec.convert(value, FIELDS[name], strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(f"{where}: the setting {name} is wrong: {error}") from error


def _split(name: str, text: str) -> Any:
    """A list in a variable is separated by commas or blanks."""
    return text.replace(",", " ").split() if FIELDS[name] == tuple[str, ...] else text


def _xdg(environ: Mapping[str, str], variable: str, default: str) -> Path:
    """A folder of the specification, by which a relative path counts as none."""
    named = environ.get(variable, "")
    return Path(named) if Path(named).is_absolute() else Path(default).expanduser()


def _read_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"{file}: {error}") from error
