"""Hostile input by the million for whatever reads records."""
