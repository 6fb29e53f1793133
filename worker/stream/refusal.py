"""Why the process cannot go on: a setting or a right that turned out to be wrong while it ran."""

from collections.abc import Callable


class Refusal:
    """Ends the process for a fault that an operator must correct. The first one counts."""

    def __init__(self, finish: Callable[[], object]) -> None:
        """`finish` lets the process drain and stop; it is called once, from any thread."""
        self._finish = finish
        self.error: Exception | None = None

    def refuse(self, error: Exception) -> None:
        """Stop for this reason; from any thread."""
        if self.error is None:
            self.error = error
            self._finish()
