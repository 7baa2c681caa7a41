"""Steps that take buckets away, in place, each as the engine of SpiderFoot 4 does."""

from collections import Counter
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from services.correlation.domain.spiderfoot.buckets import Buckets, Item
from services.correlation.domain.spiderfoot.rule import Analysis, AnalysisMethod


def threshold(step: Analysis, buckets: Buckets) -> None:
    """Keeps buckets where every value has its count within bounds, or where the number of different values has.

    A bucket without a value has none out of bounds.
    """
    assert step.field is not None
    field = step.field
    for value, bucket in list(buckets.items()):
        counts = Counter(each for item in bucket for each in item.values(field))
        counted = [len(counts)] if step.count_unique_only else counts.values()
        if not all(step.minimum <= count <= step.maximum for count in counted):
            del buckets[value]


def outlier(step: Analysis, buckets: Buckets) -> None:
    """Keeps buckets with a small share, unless the mean bucket has so small a share that nothing is common."""
    total = sum(map(len, buckets.values()))
    if total and total / len(buckets) / total * 100 < step.noisy_percent:
        buckets.clear()
    for value, bucket in list(buckets.items()):
        if len(bucket) / total * 100 > step.maximum_percent:
            del buckets[value]


def first_collection_only(step: Analysis, buckets: Buckets) -> None:
    """Keeps buckets in which everything is of the first collection.

    The field decides nothing: who has a value of the first collection in a later one is in a bucket that goes anyway.
    """
    for value, bucket in list(buckets.items()):
        if any(item.collection for item in bucket):
            del buckets[value]


def match_all_to_first_collection(step: Analysis, buckets: Buckets) -> None:
    """Keeps of later collections what matches a value of the first, and the buckets that have any of that."""
    assert step.field is not None
    field = step.field
    reference = {
        value for bucket in buckets.values() for item in bucket if not item.collection for value in item.values(field)
    }
    matches = _MATCHES[step.match_method](reference)
    tried: dict[str, bool] = {}

    def is_kept(item: Item) -> bool:
        if not item.collection:
            return True
        for value in item.values(field):
            known = tried.get(value)
            if known is None:
                known = tried[value] = matches(value)
            if known:
                return True
        return False

    for value, bucket in list(buckets.items()):
        buckets[value] = [item for item in bucket if is_kept(item)]
        if not any(item.collection for item in buckets[value]):
            del buckets[value]


def both_collections(step: Analysis, buckets: Buckets) -> None:
    """SpiderFoot knows the name and does nothing."""


def _is_part(reference: set[str]) -> Callable[[str], bool]:
    # One text of all values: one look-up instead of thousands. NUL is in no text.
    text = "\0".join(reference)
    return lambda value: bool(reference) and value in text


def _is_within(reference: set[str]) -> Callable[[str], bool]:
    """Whether an address lies in a network of the reference, found by its prefixes and not by trying each network."""
    networks: dict[tuple[int, int], set[int]] = {}
    for text in reference:
        try:
            network = ip_network(text, strict=False)
        except ValueError:
            continue
        shift = network.max_prefixlen - network.prefixlen
        networks.setdefault((network.version, shift), set()).add(int(network.network_address) >> shift)

    def is_within(value: str) -> bool:
        try:
            address: IPv4Address | IPv6Address = ip_address(value)
        except ValueError:
            return False
        number = int(address)
        return any(
            number >> shift in prefixes for (version, shift), prefixes in networks.items() if version == address.version
        )

    return is_within


_MATCHES: Final[dict[str, Callable[[set[str]], Callable[[str], bool]]]] = {
    "exact": lambda reference: reference.__contains__,
    "contains": _is_part,
    "subnet": _is_within,
}

ANALYSES: Final[dict[AnalysisMethod, Callable[[Analysis, Buckets], None]]] = {
    "threshold": threshold,
    "outlier": outlier,
    "first_collection_only": first_collection_only,
    "match_all_to_first_collection": match_all_to_first_collection,
    "both_collections": both_collections,
}
