"""Secrets at rest: sealed under one master key, so that whoever reads a database or a backup of it reads nothing.

AES-256-GCM (NIST SP 800-38D) with a random nonce for each secret; what a secret is called is authenticated with it, so
that one cannot be put in the place of another. A sealed secret is ``v1.`` and base64url of nonce and ciphertext.
"""

import base64
import binascii
import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.kernel.errors import Corrupt, Invalid
from services.kernel.folder import write_private

_VERSION: Final = "v1"
_NONCE: Final = 12
_KEY_BYTES: Final = 32


class Seal:
    """Seals and opens under ``key``: 64 hexadecimal digits."""

    def __init__(self, key: str) -> None:
        try:
            secret = bytes.fromhex(key)
        except ValueError:
            secret = b""
        if len(secret) != _KEY_BYTES:
            raise Invalid(f"the master key is {2 * _KEY_BYTES} hexadecimal digits (MIRAGE_MASTER_KEY)")
        self._cipher = AESGCM(secret)

    def seal(self, name: str, secret: str) -> str:
        """Make of a secret what may be kept anywhere."""
        nonce = os.urandom(_NONCE)
        sealed = self._cipher.encrypt(nonce, secret.encode(), f"{_VERSION}.{name}".encode())
        return f"{_VERSION}.{base64.urlsafe_b64encode(nonce + sealed).decode('ascii')}"

    def open(self, name: str, sealed: str) -> str:
        """The secret.

        Raises:
            Corrupt: it was sealed under another key or another name, or was altered.
        """
        version, _, encoded = sealed.rpartition(".")
        try:
            content = base64.b64decode(encoded, altchars=b"-_", validate=True)
            return self._cipher.decrypt(content[:_NONCE], content[_NONCE:], f"{version}.{name}".encode()).decode()
        except (ValueError, binascii.Error, InvalidTag):
            raise Corrupt(f"the secret {name} cannot be opened: it was sealed under another master key") from None


def make_key() -> str:
    """A new master key."""
    return os.urandom(_KEY_BYTES).hex()


def key_of_folder(file: Path) -> str:
    """The master key of a data folder, made when it is first asked for; nobody but its owner reads it."""
    try:
        return file.read_text("ascii").strip()
    except FileNotFoundError:
        key = make_key()
        write_private(file, key + "\n")
        return key
