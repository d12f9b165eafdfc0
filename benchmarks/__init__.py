"""Sealed against plain, in one run: `make bench`."""
