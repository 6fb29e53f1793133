"""Pure decisions: no clock, no I/O, no framework. Everything here is a value or a function of values."""
