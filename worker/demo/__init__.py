"""Everything on one machine: the embedded broker, the simulated API, generated activity and the live view."""
