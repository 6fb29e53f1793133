"""Puts the worker together: what settings mean, and which parts know which."""
