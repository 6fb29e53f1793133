"""The ledger of the running stream: its table, local copy, and guard."""
