"""A scan as files for other programs: one format a module, each of which takes what is said piece by piece.

What is kept while a file is made does not grow with the scan: what has to wait for the end waits on disk (`waiting`).
"""
