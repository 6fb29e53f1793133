"""How records get to the handler and are finished: order, pauses, rewinds. Knows nothing of Faust."""
