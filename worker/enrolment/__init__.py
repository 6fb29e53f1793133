"""The use case: from one event to its outcomes."""
