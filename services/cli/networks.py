"""What a scan does with the networks among its targets, in words."""

from collections.abc import Collection, Iterable, Iterator
from ipaddress import ip_network
from typing import Final

from services.cli.text import count
from services.contracts.claims import Entity
from services.contracts.resources import Module

#: The option of modules that go through the addresses of a network: how many they go through at most.
ADDRESSES: Final = "addresses"
SHOWN: Final = 3
MOST_WRITTEN: Final = 2**40


def described(targets: Iterable[Entity], planned: Collection[str], modules: Iterable[Module]) -> Iterator[str]:
    """A sentence for each of the first networks: how large it is, who is asked about it, who goes through it."""
    taken = [module for module in modules if module.declared.id in planned and "netblock" in module.declared.consumes]
    networks = [target.key[0] for target in targets if target.type == "netblock"]
    for network in networks[:SHOWN]:
        yield f"{network} is {size(network)}: {_done(network, taken)}"
    if len(networks) > SHOWN:
        total = sum(ip_network(network).num_addresses for network in networks)
        in_all = f", {total:,} addresses in all" if total <= MOST_WRITTEN else ""
        yield f"the same goes for {count(len(networks) - SHOWN, 'other network')} by its size{in_all}"


def size(network: str) -> str:
    """How many addresses a network has."""
    found = ip_network(network)
    if found.num_addresses > MOST_WRITTEN:
        return f"2^{found.max_prefixlen - found.prefixlen} addresses"
    return count(found.num_addresses, "address")


def _done(network: str, modules: Iterable[Module]) -> str:
    whole, through, beyond = [], [], []
    for module in modules:
        most = {**module.declared.options, **module.options}.get(ADDRESSES)
        if most is None:
            whole.append(module.declared.id)
        elif ip_network(network).num_addresses <= int(most):
            through.append(module.declared.id)
        else:
            beyond.append(f"{module.declared.id} (it takes {int(most):,})")
    parts = [
        f"asked about as a whole by {', '.join(whole)}" if whole else "",
        f"gone through address by address by {', '.join(through)}" if through else "",
        f"too large to be gone through by {', '.join(beyond)}" if beyond else "",
        "other modules are asked about addresses in it only as they are found",
    ]
    return "; ".join(part for part in parts if part)
