"""Fixtures for tests of the Helm chart."""

import os

import pytest

from tests.support.chart.helm import Helm, HelmUnavailable, find_helm


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Give Helm; skip where it cannot be had, but fail in CI."""
    try:
        return find_helm()
    except HelmUnavailable as reason:
        if os.environ.get("CI") == "true":
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(f"the chart is not tested. {reason}")
