"""Reads web pages: pure functions from what a server sent to the facts in it, linear in its size whatever it sent.

Nothing here judges scope or makes claims but `claims`, which says those facts in the published language.
"""
