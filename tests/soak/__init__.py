"""Minutes of an API that is up, slow, throttling, down and flapping: `python -m tests.soak`."""
