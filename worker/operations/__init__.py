"""The work of operators' commands."""
