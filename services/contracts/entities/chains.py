"""Checksums of addresses on chains: base58check, bech32 and bech32m (BIP 173, BIP 350), EIP-55, CryptoNote."""

import re
from hashlib import sha256

from services.contracts.claims import Malformed
from services.contracts.names import shown

_BITCOIN_DIGITS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_RIPPLE_DIGITS = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
_BECH32_DIGITS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

# Version octets of base58check addresses, and the human-readable part of bech32 ones.
_BASE58 = {"bitcoin": (0x00, 0x05), "litecoin": (0x30, 0x32), "dogecoin": (0x1E, 0x16), "dash": (0x4C, 0x10),
           "tron": (0x41,), "ripple": (0x00,)}  # fmt: skip
_BECH32 = {"bitcoin": "bc", "litecoin": "ltc"}
EVM = frozenset({"ethereum", "polygon", "bnb"})
CHAINS = frozenset({*_BASE58, *EVM, "monero"})

_evm = re.compile(r"0[xX][0-9a-fA-F]{40}").fullmatch
_monero = re.compile(rf"[48][{_BITCOIN_DIGITS}]{{94}}").fullmatch


def checked(chain: str, text: str) -> str:
    """The address with its checksum, in the one form it is written in; raises `Malformed` when that does not hold."""
    if chain in EVM:
        return _checked_evm(text)
    if chain == "monero":
        return _checked_monero(text)
    part = _BECH32.get(chain)
    if part and text[: len(part) + 1].lower() == f"{part}1":
        return _checked_bech32(part, text)
    payload = _base58(text, _RIPPLE_DIGITS if chain == "ripple" else _BITCOIN_DIGITS)
    if len(payload) != 25 or payload[0] not in _BASE58[chain] or _twice(payload[:21])[:4] != payload[21:]:
        raise Malformed(f"{shown(text)} is not an address on {chain}")
    return text


def chain_of(text: str) -> str | None:
    """The chain whose addresses look like ``text`` and whose checksum holds, or None."""
    if not (25 <= len(text) <= 95 and text.isascii() and text.isalnum()):
        return None
    for chain in ("ethereum", "bitcoin", "litecoin", "dogecoin", "dash", "tron", "ripple", "monero"):
        try:
            checked(chain, text)
        except Malformed:
            continue
        return chain
    return None


def _checked_evm(text: str) -> str:
    if not _evm(text):
        raise Malformed(f"{shown(text)} is not an address on an Ethereum chain")
    digits = text[2:].lower()
    digest = keccak_256(digits.encode()).hex()
    mixed = "".join(
        char.upper() if int(nibble, 16) >= 8 else char for char, nibble in zip(digits, digest, strict=False)
    )
    if text[2:] not in (digits, digits.upper(), mixed):
        raise Malformed(f"{shown(text)} does not have the checksum of its address (EIP-55)")
    return "0x" + mixed


def _checked_monero(text: str) -> str:
    if not _monero(text):
        raise Malformed(f"{shown(text)} is not an address on monero")
    try:
        blocks = [_number(text[at : at + 11], _BITCOIN_DIGITS).to_bytes(8, "big") for at in range(0, 88, 11)]
        payload = b"".join(blocks) + _number(text[88:], _BITCOIN_DIGITS).to_bytes(5, "big")
    except OverflowError:
        payload = b""
    if keccak_256(payload[:65])[:4] != payload[65:]:
        raise Malformed(f"{shown(text)} does not have the checksum of its address")
    return text


def _checked_bech32(part: str, text: str) -> str:
    plain = text.lower()
    data = [_BECH32_DIGITS.find(char) for char in plain[len(part) + 1 :]]
    if text not in (plain, plain.upper()) or len(plain) > 90 or len(data) < 7 or -1 in data:
        raise Malformed(f"{shown(text)} is not a bech32 address")
    expanded = [ord(char) >> 5 for char in part] + [0] + [ord(char) & 31 for char in part]
    constant = 1 if data[0] == 0 else 0x2BC830A3
    program = len(data) - 7
    sound = data[0] <= 16 and program * 5 % 8 < 5 and 2 <= program * 5 // 8 <= 40
    if data[0] == 0:
        sound = sound and program * 5 // 8 in (20, 32)
    if not sound or _polymod(expanded + data) != constant:
        raise Malformed(f"{shown(text)} does not have the checksum of its address (BIP 173)")
    return plain


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for at, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            if top >> at & 1:
                check ^= generator
    return check


def _base58(text: str, digits: str) -> bytes:
    if not 25 <= len(text) <= 36:
        return b""
    leading = len(text) - len(text.lstrip(digits[0]))
    try:
        number = _number(text, digits)
    except ValueError:
        return b""
    return bytes(leading) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _number(text: str, digits: str) -> int:
    number = 0
    for char in text:
        number = number * 58 + digits.index(char)
    return number


def _twice(data: bytes) -> bytes:
    return sha256(sha256(data).digest()).digest()


_MASK = 2**64 - 1
_ROTATIONS = ((0, 36, 3, 41, 18), (1, 44, 10, 45, 2), (62, 6, 43, 15, 61), (28, 55, 25, 21, 56), (27, 20, 39, 8, 14))


def _round_constants() -> tuple[int, ...]:
    constants = []
    register = 1
    for _ in range(24):
        constant = 0
        for bit in range(7):
            if register & 1:
                constant ^= 1 << (1 << bit) - 1
            register = register << 1 ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    return tuple(constants)


_ROUND_CONSTANTS = _round_constants()


def keccak_256(data: bytes) -> bytes:
    """Keccak with 256 bits as Ethereum has it: SHA3-256 of FIPS 202 but for the padding, which is the submission's."""
    rate = 136
    padded = bytearray(data) + b"\x01" + bytes(-(len(data) + 1) % rate)
    padded[-1] |= 0x80
    lanes = [[0] * 5 for _ in range(5)]
    for start in range(0, len(padded), rate):
        for at in range(rate // 8):
            lanes[at % 5][at // 5] ^= int.from_bytes(padded[start + 8 * at : start + 8 * at + 8], "little")
        for constant in _ROUND_CONSTANTS:
            lanes = _permuted(lanes)
            lanes[0][0] ^= constant
    return b"".join(lanes[at][0].to_bytes(8, "little") for at in range(4))


def _permuted(lanes: list[list[int]]) -> list[list[int]]:
    parity = [column[0] ^ column[1] ^ column[2] ^ column[3] ^ column[4] for column in lanes]
    spread = [parity[x - 1] ^ _rotated(parity[(x + 1) % 5], 1) for x in range(5)]
    moved = [[0] * 5 for _ in range(5)]
    for x in range(5):
        for y in range(5):
            moved[y][(2 * x + 3 * y) % 5] = _rotated(lanes[x][y] ^ spread[x], _ROTATIONS[x][y])
    return [[moved[x][y] ^ ~moved[(x + 1) % 5][y] & moved[(x + 2) % 5][y] & _MASK for y in range(5)] for x in range(5)]


def _rotated(lane: int, count: int) -> int:
    return (lane << count | lane >> (64 - count)) & _MASK if count else lane
