"""How a field of the model is called in the environment, and which variables only look like settings."""

import re
from difflib import get_close_matches
from typing import Final

from pydantic import SecretStr
from pydantic.fields import FieldInfo

PREFIX: Final = "ENROLMENT_"

_INJECTED_BY_KUBERNETES: Final = re.compile(r"_(SERVICE_HOST|SERVICE_PORT.*|PORT|PORT_.*)$")
"""What a pod finds in its environment for every Service of its namespace, e.g. ENROLMENT_DB_SERVICE_HOST."""


def variable(field: str) -> str:
    """Return the environment variable of a field."""
    return PREFIX + field.upper()


def file_variable(field: str) -> str:
    """Return the variable that names the file which holds a secret."""
    return variable(field) + "_FILE"


def is_secret(info: FieldInfo) -> bool:
    """Whether the field's value is never shown, and may be given as a file."""
    return info.annotation in (SecretStr, SecretStr | None)


def is_foreign(name: str) -> bool:
    """Whether an unknown variable is to be ignored: not ours, or injected by Kubernetes."""
    return not name.startswith(PREFIX) or _INJECTED_BY_KUBERNETES.search(name) is not None


def nearest(name: str, known: frozenset[str]) -> str:
    """Return the known variable that an unknown one most resembles."""
    return get_close_matches(name, sorted(known), n=1, cutoff=0.0)[0]
