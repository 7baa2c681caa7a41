"""Mechanisms that every service shares; no word of OSINT, no import of Mirage but itself."""
