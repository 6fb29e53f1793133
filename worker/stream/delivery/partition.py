"""A partition, as the stream names it."""

Partition = tuple[str, int]
"""Topic and partition number."""
