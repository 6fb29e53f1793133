"""Health of the running stream, and who is told."""
