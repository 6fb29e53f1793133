"""Calls that are repeated, held back, or wait for an API that is down."""
