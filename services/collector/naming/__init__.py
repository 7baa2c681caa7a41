"""How an organisation names its hosts, learnt from the names that are known, and the names that follow from it."""

from services.collector.naming.guesser import Guesser

__all__ = ["Guesser"]
