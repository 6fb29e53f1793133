"""The records and topics that flow through Kafka: their shapes and settings. Nothing here does I/O."""
