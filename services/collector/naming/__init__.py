"""How an organisation names its hosts, learnt from the names that are known, and the names that follow from it."""

from services.collector.naming.candidates import candidates

__all__ = ["candidates"]
