"""YAML as people write it: plain values only, each key once, no anchors, bounded."""

from typing import Any

import yaml

from services.kernel.errors import Invalid

MAX_DOCUMENT = 65_536


class _Loader(yaml.SafeLoader):
    """Refuses what lets a small text become a large value, or hides one key behind another."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "anchors are not read", None)
        return super().compose_node(parent, index)


def load_document(text: str) -> dict[str, Any]:
    """Read one mapping.

    Raises:
        Invalid: it is none, or too long; with line and column.
    """
    if len(text.encode()) > MAX_DOCUMENT:
        raise Invalid(f"a rule has at most {MAX_DOCUMENT:,} bytes")
    try:
        found = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise Invalid(f"this is no YAML: {error}") from error
    if not isinstance(found, dict):
        raise Invalid("a rule is a mapping of keys to values")
    return found
