"""A plain Debian in a folder, with processes and mounts of its own; it has our network, and so our ports.

What debootstrap fetches is kept in `FETCHED`. Whatever ends the test run ends the machine with all that runs
in it, for its first process dies with us, and its mounts were never ours.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from tests.servers.running import CACHE

FETCHED: Final = CACHE.with_name("mirage-debian")
KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PROGRAMS: Final = ("debootstrap", "apt-get", "unshare", "setpriv", "nsenter")
#: How this machine reaches the registries of packages: names in the environment, and files.
REACHING: Final = ("PIP_INDEX_URL", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
FILES: Final = ("etc/resolv.conf", "etc/hosts", "etc/pip.conf")
#: Whom this machine trusts, and where Debian looks for more of those: one a file, since Java reads no more of it.
TRUSTED: Final = Path("/etc/ssl/certs/ca-certificates.crt")
MORE_TRUSTED: Final = "usr/local/share/ca-certificates"
CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", re.DOTALL)
#: Mounts what a system has and then each FROM:TO below $1, makes that the root of all, and waits for its children.
FIRST: Final = """
set -e
mount --bind "$1" "$1"
cd "$1"
shift
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs -o mode=1777 shm dev/shm
mount -t tmpfs -o mode=755 run run
for each; do
  mkdir -p "./${each#*:}"
  mount --bind "${each%%:*}" "./${each#*:}"
done
pivot_root . mnt
umount --lazy /mnt
cd /
echo up
exec sh -c 'exec >/dev/null; while :; do sleep 3600 & wait $!; done'
"""


class Machine:
    """One that runs."""

    def __init__(self, first: int) -> None:
        self._first = first

    def run(self, *command: str, seconds: float = 60) -> str:
        """Run a command as root, with nothing of our environment but how registries are reached; return all it said."""
        environ = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            **{name: value for name, value in os.environ.items() if name.upper() in REACHING},
        }
        enter = f"nsenter --target={self._first} --mount --pid --ipc --uts --root env --chdir=/".split()
        done = subprocess.run(
            [*enter, *command],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-6000:]}"
        return done.stdout


def missing(suite: str) -> str:
    """Why there can be no machine of this suite here; empty if there can."""
    if os.geteuid() != 0:
        return "only root can make a machine"
    if absent := [name for name in PROGRAMS if shutil.which(name) is None]:
        return f"{', '.join(absent)} not installed"
    if not KEYRING.exists():
        return "debian-archive-keyring not installed"
    if not (mirror := _mirror()):
        return "apt knows no mirror of Debian"
    try:
        urlopen(f"{mirror}/dists/{suite}/InRelease", timeout=20).close()
    except (URLError, OSError, ValueError) as error:
        return f"apt's mirror of Debian {suite} cannot be reached: {error}"
    return ""


def make(root: Path, suite: str) -> None:
    """Unpack a plain Debian, which is fetched once, and let it reach what we reach."""
    shutil.rmtree(root, ignore_errors=True)
    base = FETCHED / f"{suite}.tar"
    if not base.exists():
        how = ("--variant=minbase", "--include=systemd", "--force-check-gpg", f"--keyring={KEYRING}")
        # What it mounts there goes with it, even if it is killed.
        _call("unshare", "--mount", "--propagation=private", "debootstrap", *how, suite, str(root), _mirror())
        _call("tar", "--create", f"--directory={root}", f"--file={base}.part", "--numeric-owner", ".")
        base.with_suffix(".tar.part").rename(base)
        shutil.rmtree(root)
    root.mkdir(parents=True)
    _call("tar", "--extract", f"--directory={root}", f"--file={base}", "--numeric-owner")
    (root / "etc/dpkg/dpkg.cfg.d/quick").write_text("force-unsafe-io\n")
    (root / "etc/apt/apt.conf.d/90outside").write_text(_apt_settings())
    for name in FILES:
        with suppress(FileNotFoundError):
            shutil.copyfile(Path("/") / name, root / name)
    (root / MORE_TRUSTED).mkdir(parents=True, exist_ok=True)
    trusted = TRUSTED.read_text("ascii") if TRUSTED.exists() else ""
    for number, certificate in enumerate(CERTIFICATE.findall(trusted)):
        (root / MORE_TRUSTED / f"outside-{number}.crt").write_text(certificate)


@contextmanager
def started(root: Path, mounts: Mapping[Path, str]) -> Iterator[Machine]:
    """Let the machine that was made in ``root`` run, which has each key of ``mounts`` at the path.

    It ends as when the power is cut.
    """
    for folder in mounts:
        folder.mkdir(parents=True, exist_ok=True)
    pairs = [f"{folder}:{place}" for folder, place in mounts.items()]
    spaces = ("unshare", "--mount", "--propagation=private", "--pid", "--ipc", "--uts", "--fork", "--kill-child")
    with subprocess.Popen(
        ["setpriv", "--pdeathsig=KILL", *spaces, "sh", "-c", FIRST, "sh", str(root), *pairs],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as begun:
        assert begun.stdout is not None
        assert begun.stdout.readline() == "up\n"
        first = int(Path(f"/proc/{begun.pid}/task/{begun.pid}/children").read_text())
        try:
            yield Machine(first)
        finally:
            os.kill(first, signal.SIGKILL)  # which ends all others; unshare waits for it


def _mirror() -> str:
    """Where apt fetches Debian from here, or nothing."""
    asked = ("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian")
    return next(iter(_call(*asked).split()), "").rstrip("/")


def _apt_settings() -> str:
    """How apt is to fetch here; what it has fetched it keeps."""
    wanted = ("acquire::http", "acquire::check", "acquire::retries")
    lines = [line for line in _call("apt-config", "dump").splitlines() if line.lower().startswith(wanted)]
    return "\n".join([*lines, 'APT::Keep-Downloaded-Packages "true";', ""])


def _call(*command: str) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout
