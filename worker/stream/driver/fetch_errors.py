"""What keeps aiokafka's fetcher at work when leaders change while it looks for where to begin."""

from typing import Any

from aiokafka import TopicPartition


def keep_first_error(fetcher: Any) -> None:  # noqa: ANN401 - aiokafka ships no types
    """Let an error of a partition that has one already, or records, be passed over.

    A partition without a committed offset is looked up by a task of its leader. When another leads it
    meanwhile there are two, which find the same: aiokafka's fetcher takes the second for impossible and ends,
    and its consumer never reads again.
    """
    set_error = fetcher._set_error  # noqa: SLF001 - aiokafka offers no way to do this

    def set_first(tp: TopicPartition, error: Exception) -> None:
        if tp not in fetcher._records:  # noqa: SLF001 - as above
            set_error(tp, error)

    fetcher._set_error = set_first  # noqa: SLF001 - as above
