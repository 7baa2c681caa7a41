"""The tables of storage; every statement is bound to a workspace, but for those that look for work of all of them."""
