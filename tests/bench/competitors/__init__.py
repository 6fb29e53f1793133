"""What a user would run instead: each a process of its own, written as its framework's manual has it.

All do the same for an event: look the customer up, enrol into each promotion listed, write an outcome for
each. None but the worker keeps a ledger, retries, dead-letters, or keeps the order of a customer's events
when many are in flight.
"""
