"""Every setting of the worker: its name, type, default, rules and description, and how it is read.

Settings are environment variables with the prefix `ENROLMENT_`; `load_settings` is the one door.
"""

from worker.settings.environment import SettingsError, load_settings
from worker.settings.model import ConnectionSettings, KafkaSettings, Settings
from worker.settings.naming import PREFIX
from worker.settings.reference import GroupReference, SettingReference, reference

__all__ = [
    "PREFIX",
    "ConnectionSettings",
    "GroupReference",
    "KafkaSettings",
    "SettingReference",
    "Settings",
    "SettingsError",
    "load_settings",
    "reference",
]
