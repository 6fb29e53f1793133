"""Measurements, not tests: `make bench` runs them and prints what was seen."""
