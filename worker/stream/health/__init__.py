"""Whether the running stream is well, and who is told."""
