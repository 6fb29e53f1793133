"""The entries of the ledger, and how they are written down."""
