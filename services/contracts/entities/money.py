"""Addresses on chains, payment instruments and transactions."""

import re

from services.contracts.claims import Entity, Malformed
from services.contracts.entities.chains import CHAINS, EVM, checked
from services.contracts.entities.text import hexadecimal, line, token
from services.contracts.names import shown

_iban = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}").fullmatch
_masked_card = re.compile(r"[0-9]{6}\*{2,9}[0-9]{4}").fullmatch
_SYMBOLS = {"btc": "bitcoin", "ltc": "litecoin", "doge": "dogecoin", "trx": "tron", "xrp": "ripple", "eth": "ethereum",
            "xmr": "monero"}  # fmt: skip


def crypto_address(chain: str, address: str) -> Entity:
    """An address on a chain in the form that carries its checksum (base58check, BIP 173 and 350, EIP-55)."""
    return Entity("crypto_address", crypto_address_key(chain, address))


def payment_instrument(kind: str, value: str, hmac: str = "") -> Entity:
    """An ``iban``, or a ``card`` as first six and last four digits with the workspace's HMAC-SHA256 of the whole."""
    return Entity("payment_instrument", payment_instrument_key(kind, value, *(hmac,) if hmac else ()))


def transaction(chain: str, hash: str) -> Entity:
    """A transaction on a chain by its hash."""
    return Entity("transaction", transaction_key(chain, hash))


def crypto_address_key(chain: str, address: str) -> tuple[str, str]:
    where = _chain(chain)
    return (where, checked(where, address.strip()) if where in CHAINS else _word(address, "an address on a chain"))


def payment_instrument_key(kind: str, value: str, hmac: str = "") -> tuple[str, ...]:
    family = token(kind, "a kind of payment instrument")
    if family == "card":
        if not _masked_card(value.strip()):
            raise Malformed("a payment card is given masked: six digits, asterisks, four digits")
        return (family, value.strip(), hexadecimal(hmac.strip(), "an HMAC-SHA256", 64))
    if hmac:
        raise Malformed("only a payment card has an HMAC in its key")
    if family == "iban":
        plain = "".join(value.split()).upper()
        rotated = plain[4:] + plain[:4]
        if not _iban(plain) or int("".join(str(int(char, 36)) for char in rotated)) % 97 != 1:
            raise Malformed(f"{shown(value)} is not an international bank account number")
        return (family, plain)
    return (family, line(value, "a payment instrument", limit=128))


def transaction_key(chain: str, digest: str) -> tuple[str, str]:
    where = _chain(chain)
    if where not in CHAINS:
        return (where, _word(digest, "the hash of a transaction"))
    plain = hexadecimal(digest.strip().lower().removeprefix("0x"), "the hash of a transaction", 64)
    return (where, f"0x{plain}" if where in EVM else plain)


def _chain(text: str) -> str:
    plain = token(text, "a chain")
    return _SYMBOLS.get(plain, plain)


def _word(text: str, what: str) -> str:
    plain = line(text, what, limit=256)
    if " " in plain:
        raise Malformed(f"{shown(text)} is not {what}")
    return plain
