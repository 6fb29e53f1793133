"""Kafka, by way of Faust: delivery in order per key, commits that never run ahead, a bounded way out.

The only package that imports faust, mode or aiokafka. Faust's own acknowledgement commits past work in
progress; `consumer` replaces it with the order book's watermark.
"""
