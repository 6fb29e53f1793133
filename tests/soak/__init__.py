"""Minutes of an API of all weathers, from slow to refusing to down: `python -m tests.soak`."""
