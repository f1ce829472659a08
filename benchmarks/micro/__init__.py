"""Pieces of the path of a phone, in memory and without waiting: `make bench-micro`."""
