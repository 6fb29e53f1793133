"""How the process ends when it asks for a restart."""

from typing import Final

EXIT_STUCK: Final = 70
