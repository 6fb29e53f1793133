"""Plain access to the cluster: topics, logs, offsets, sizes. Knows nothing of Faust."""
