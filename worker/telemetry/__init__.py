"""Metrics, spans and logs: every name of them is declared here."""
