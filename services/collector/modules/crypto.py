"""What the form of an address on a chain tells by itself: that its checksum holds, and what kind of output or account
it stands for. Nobody is asked and nobody learns anything.
"""

from collections.abc import AsyncIterator, Iterator

from services.collector.archetypes.sound import described
from services.collector.context import Answer, Context
from services.collector.manifest import Manifest
from services.contracts.claims import Claim, Entity
from services.contracts.entities.chains import CHAINS

MANIFEST = Manifest(
    id="crypto",
    version=1,
    title="Form of addresses on chains",
    activity="passive",
    source="https://github.com/bitcoin/bips/blob/master/bip-0173.mediawiki",
    format="https://eips.ethereum.org/EIPS/eip-55",
    consumes=("crypto_address",),
    produces=("crypto_address",),
    rate=0.0,
    concurrency=64,
    cost=0.0,
    freshness=31_536_000,
    timeout=5.0,
    licence="none",
)

# The kind by how an address begins; bech32 programs are told apart by length as well (BIP 141, BIP 341).
KINDS = {
    "bitcoin": {"1": "p2pkh", "3": "p2sh"},
    "litecoin": {"L": "p2pkh", "M": "p2sh", "3": "p2sh"},
    "dogecoin": {"D": "p2pkh", "9": "p2sh", "A": "p2sh"},
    "dash": {"X": "p2pkh", "7": "p2sh"},
    "monero": {"4": "standard", "8": "subaddress"},
}
WITNESSES = {("q", 42): "p2wpkh", ("q", 62): "p2wsh", ("p", 62): "p2tr"}


async def collect(seen: Entity, ctx: Context) -> AsyncIterator[Answer]:
    yield Answer(at=ctx.now)


def parse(answer: Answer, seen: Entity) -> Iterator[Claim]:
    chain, address = seen.key
    if chain in CHAINS:
        # An address whose checksum does not hold has no normal form, so there is no entity of it.
        yield from described(seen, valid=True, address_kind=kind_of(chain, address), category=[chain])


def kind_of(chain: str, address: str) -> str | None:
    """What an address stands for where its form shows it; accounts and contracts of Ethereum look alike."""
    part, one, program = address.partition("1")
    if one and part in {"bc", "ltc"}:
        return WITNESSES.get((program[0], len(program) + 3)) or "segwit"
    return KINDS.get(chain, {}).get(address[0])
