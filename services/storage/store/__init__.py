"""The tables of storage; every statement is bound to a workspace."""
