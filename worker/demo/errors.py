"""Why there is no broker, as one line for a user."""


class BrokerUnavailable(Exception):  # noqa: N818 - reads as the state that it reports, not as a fault of ours
    """This machine cannot have the broker that was asked for; the text is one line and names the remedy."""


class BrokerFailed(Exception):  # noqa: N818 - pairs with BrokerUnavailable
    """Everything needed is here, yet the broker did not start; the text ends with the end of its log."""
