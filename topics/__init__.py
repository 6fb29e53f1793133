"""What flows through Kafka: the shapes of records and the topics that carry them. Nothing here does I/O."""
