"""Secrets that are recognised wherever they turn up: said in every way in which one comes in, and then looked for.

Mirage is used over HTTP and by its command line, and asked with the secrets what it has to refuse. Then everything is
read that was written or told meanwhile: logs at their most talkative, databases, the bus, answers, exports, backups.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyotp
import pytest

from services.contracts.resources import EXPORT_FORMATS
from services.kernel.folder import MASTER_KEY
from services.kernel.tokens import make_token
from tests.attacks.hulls import KINDS, ROOT, LocalHull, Reply, eventually, good
from tests.kernel.keys import GATEWAY, PEERS

pytestmark = pytest.mark.slow

PASSWORD, NEW, GUESS = "canary-One-8fQx2zLw", "canary-Two-9gRy3aMx", "canary-Six-4hSz4bNy"
PROVIDER_KEY = "canaryKey7Tj5cPz0VbWq"
DATABASE = "canaryDb6Uk6dQa1XcYr"


class Told:
    """Asks a hull, and keeps what it is told; ``secrets``: those that were said or shown so far, by what they are."""

    def __init__(self, hull: LocalHull) -> None:
        self.hull = hull
        self.answers: list[Reply] = []
        self.secrets = {
            "password": PASSWORD, "new password": NEW, "guess": GUESS, "key": PROVIDER_KEY, "first code": hull.code,
        }  # fmt: skip

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """What a question that is a good one is answered; that may have secrets in it for who asks."""
        return good(self.hull.ask(method, path, body, **more))

    def provoke(self, method: str, path: str, body: Any = None, **more: Any) -> None:
        reply = self.hull.ask(method, path, body, **more)
        assert 400 <= reply.status < 500, reply
        self.answers.append(reply)

    def know(self, **found: str) -> None:
        for name, secret in found.items():
            self.secrets[f"{name} {len(self.secrets)}"] = secret


@pytest.fixture(scope="module", params=KINDS)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    hull = LocalHull(request.param, tmp_path_factory.mktemp(request.param))
    yield Told(hull)
    hull.end()


def use(told: Told) -> str:
    """Do with secrets what they are for; return the token of who did it."""
    new = {"code": told.hull.code, "email": "jo@example.org", "name": "Jo Doe", "password": PASSWORD}
    first = told.ask("POST", "/v1/accounts/first", new)
    told.know(access=first["access"], refresh=first["refresh"])
    following = told.ask("POST", "/v1/sessions/refresh", {"refresh": first["refresh"]})
    token: str = following["access"]
    told.know(access=token, refresh=following["refresh"])
    script = {"name": "nightly", "permissions": ["all"], "expires": time.time_ns() // 1000 + 86_400_000_000}
    told.know(script=told.ask("POST", "/v1/tokens", script, token=token)["token"])
    invited = told.ask("POST", "/v1/invitations", {"email": "mo@example.org", "role": "admin"}, token=token)["code"]
    told.know(invitation=invited)
    told.ask("POST", "/v1/invitations/open", {"code": invited})
    told.ask("POST", "/v1/accounts", {"code": invited, "name": "Mo", "password": NEW})
    begun = told.ask("POST", "/v1/authenticator", {"password": PASSWORD}, token=token)
    told.know(authenticator=begun["secret"])
    codes = told.ask("PUT", "/v1/authenticator", {"code": pyotp.TOTP(begun["secret"]).now()}, token=token)["codes"]
    told.know(recovery=codes[0], another=codes[1], third=codes[2])
    log_in = {"email": "jo@example.org", "password": PASSWORD, "code": codes[0]}
    told.know(refresh=told.ask("POST", "/v1/sessions", log_in)["session"]["refresh"])
    told.ask("PUT", "/v1/keys/urlscan", {"secret": PROVIDER_KEY}, token=token)
    told.ask("PUT", "/v1/password", {"old": PASSWORD, "new": NEW, "code": codes[2]}, token=token)
    return token


def provoke(told: Told, token: str) -> None:
    """Say secrets where they are wrong: of the wrong type, too long, twice, in the wrong place."""
    for secret in list(told.secrets.values()):
        for path, fields in (
            ("/v1/sessions", ("email", "password", "code", "workspace", "device")),
            ("/v1/sessions/refresh", ("refresh", "workspace")),
            ("/v1/accounts/first", ("code", "email", "name", "password")),
            ("/v1/accounts", ("code", "name", "password")),
            ("/v1/invitations/open", ("code",)),
        ):
            for field in fields:
                whole = dict.fromkeys(fields, "x")
                for wrong in ([secret], {"secret": secret}, secret * 100):
                    told.provoke("POST", path, {**whole, field: wrong}, comes_from="127.0.71.1")
            told.provoke("POST", path, f'{{"{fields[0]}": "{secret}'.encode(), comes_from="127.0.71.1")
        for path in (
            "/v1/tokens",
            "/v1/invitations",
            "/v1/authenticator",
            "/v1/password",
            "/v1/keys/urlscan",
            "/v1/scans",
        ):
            told.provoke("PUT" if "/keys" in path or "pass" in path else "POST", path, [secret], token=token)
        told.provoke("PUT", "/v1/password", {"old": secret, "new": "x", "code": secret}, token=token)
        told.provoke("GET", f"/v1/scans?limit={quote(secret)}", token=token)
        told.provoke("GET", "/v1/scans", headers={"Mirage-Seconds": secret}, token=token)
        told.provoke("GET", "/v1/scans", headers={"Authorization": f"Basic {secret}"})
        if secret != told.secrets["key"]:
            told.provoke("GET", "/v1/scans", token=f"{secret}x")
    told.provoke("POST", "/v1/accounts/first", {
        "code": told.hull.code, "email": "jo@example.org", "name": "Jo", "password": PASSWORD,
    })  # fmt: skip
    for _ in range(12):
        told.provoke("POST", "/v1/sessions", {"email": "mo@example.org", "password": GUESS}, comes_from="127.0.72.1")


def work(told: Told, token: str) -> list[str]:
    """Scan, and take out all that can be."""
    body = {"targets": ["example.org"], "modules": ["crtsh", "urlscan"]}
    scan = told.ask("POST", "/v1/scans", body, token=token)["id"]
    eventually(lambda: told.ask("GET", f"/v1/scans/{scan}", token=token)["state"] not in {"queued", "running"})
    out = []
    for path in (
        *(f"/v1/scans/{scan}/export?format={each}&all=true" for each in EXPORT_FORMATS if each != "xlsx"),
        f"/v1/scans/{scan}", f"/v1/scans/{scan}/items", f"/v1/scans/{scan}/plan", "/v1/modules", "/v1/keys",
        "/v1/members", "/v1/tokens", "/v1/sessions", "/v1/invitations", "/openapi.json", "/v1/jwks",
    ):  # fmt: skip
        reply = told.hull.ask("GET", path, token=token)
        assert reply.status == 200, reply
        out.append(reply.body.decode())
    return out


def forms(secret: str) -> Mapping[str, bytes]:
    """How a secret may stand somewhere: as it is, in hexadecimal digits, in base64 wherever in a longer text."""
    raw = secret.encode()
    encoded = {f"base64 {place}": base64.b64encode(b"\0" * place + raw)[(8 * place + 5) // 6 :] for place in range(3)}
    return {
        "plain": raw, "reversed": raw[::-1], "hexadecimal": raw.hex().encode(), "capital": raw.hex().upper().encode(),
        **{name: text.rstrip(b"=")[:-1] for name, text in encoded.items()}, "as URL": quote(secret, safe="").encode(),
        "UTF-16": secret.encode("utf-16-le"),
    }  # fmt: skip


def found_in(content: bytes, secrets: Mapping[str, str]) -> list[str]:
    other = content.replace(b"-", b"+").replace(b"_", b"/")
    return [
        f"{name}, {form}"
        for name, secret in secrets.items()
        for form, text in forms(secret).items()
        if text in content or (form.startswith("base64") and text in other)
    ]


def test_a_secret_is_found_in_whatever_form_it_is_kept() -> None:
    for place in range(3):
        kept = base64.b64encode(b"x" * place + PASSWORD.encode() + b"yy")
        assert found_in(kept, {"it": PASSWORD}), place
    assert found_in(base64.urlsafe_b64encode(PASSWORD.encode()), {"it": PASSWORD})
    assert found_in(b"<<" + PASSWORD.encode().hex().encode(), {"it": PASSWORD})
    assert not found_in(b"canary-One-8fQx2zL", {"it": PASSWORD})


@pytest.mark.slow
def test_no_secret_is_written_or_told_anywhere(told: Told, tmp_path: Path) -> None:
    hull = told.hull
    token = use(told)
    provoke(told, token)
    out = work(told, token)
    said = {f"the answer {number}": reply.body for number, reply in enumerate(told.answers)}
    said |= {f"the page {number}": text.encode() for number, text in enumerate(out)}
    if hull.kind == "up":
        copy = tmp_path / "copy"
        words = ("backup", str(copy), "--data", str(hull.data))
        made = subprocess.run(
            [sys.executable, "-m", "services", *words], check=True, capture_output=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        said["what backup says"] = made.stdout + made.stderr
        with tarfile.open(copy) as archive:
            names = archive.getnames()
            for member in archive:
                if (content := archive.extractfile(member)) is not None:
                    said[f"{member.name} in the backup"] = content.read()
        assert "auth.db" in names
        assert MASTER_KEY not in names
    kept = [path for path in hull.data.rglob("*") if path.is_file() and path.name != MASTER_KEY]
    assert {"auth.db", "users.db", "bus.db", "configuration.db"} <= {path.name for path in kept}
    said |= {path.name: path.read_bytes() for path in kept}
    secrets = {**told.secrets, "master key": (hull.data / MASTER_KEY).read_text().strip()}
    # Whoever starts it is shown the first code there.
    said["the log"] = hull.log.read_bytes().replace(f"Its code: {hull.code}\n".encode(), b"", 1)
    assert len(told.answers) > 100
    assert {where: found for where, content in said.items() if (found := found_in(content, secrets))} == {}


def test_what_a_process_is_told_of_its_servers_it_does_not_log(tmp_path: Path) -> None:
    """Passwords in addresses, and keys: of servers that are away, as it starts, waits and ends."""
    servers = {"SQL": "postgresql", "BUS": "nats", "CACHE": "redis"}
    master = "ca0a12" * 10 + "beef"
    environment = {
        "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "MIRAGE_LOG": "debug",
        **{f"MIRAGE_{port}": f"{kind}://mirage:{DATABASE}@127.0.0.1:9" for port, kind in servers.items()},
        "MIRAGE_DIRECTORY": f"consul://:{DATABASE}@127.0.0.1:9", "MIRAGE_VALUES": f"consul://:{DATABASE}@127.0.0.1:9",
        "MIRAGE_LOCKS": f"consul://:{DATABASE}@127.0.0.1:9", "MIRAGE_DATA": str(tmp_path / "data"),
        "MIRAGE_MASTER_KEY": master,
        "MIRAGE_SIGNING_KEYS": GATEWAY.replace("gateway", "auth"), "MIRAGE_PEERS": ",".join(PEERS),
    }  # fmt: skip
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "services", "serve", "auth", "--listen", "127.0.0.1:0"],
            env=environment, stdout=out, stderr=out,
        )  # fmt: skip
        eventually(lambda: b"not ready" in log.read_bytes())
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    secrets = {"password": DATABASE, "master key": master, "signing key": GATEWAY.partition("=")[2]}
    assert found_in(log.read_bytes(), secrets) == []
    assert b"127.0.0.1:9" in log.read_bytes()


@pytest.mark.parametrize("kind", ["pat", "ref", "inv", "one"])
def test_a_token_in_a_path_is_not_logged(told: Told, kind: str) -> None:
    """Whoever pastes one into an address has made a mistake, and need not have made it known, too."""
    token = make_token(kind)
    for path in (f"/v1/tokens/{token}", f"/v1/{token}", f"/{token}", f"/docs?{token}"):
        assert told.hull.ask("GET", path).status in {200, 401, 404, 405}
    eventually(lambda: "/docs" in told.hull.said())
    assert token not in told.hull.said()
    assert json.dumps(token[-20:])[1:-1] not in told.hull.said()
