"""What the chart renders, held against Helm's linter and the schemas of those who would read it."""

import json
from pathlib import Path

import pytest
import yaml

from tests.support.chart.helm import CHART, Document, Helm, Refused
from tests.support.chart.matrix import CASES, KEDA, MINIMAL, OPERATORS, SASL, merged
from tests.support.chart.schemas import VERSIONS, errors, validate

_FILES = sorted(CHART.glob("values-*.yaml"))
_seen: set[tuple[str, str]] = set()


@pytest.mark.parametrize("kubernetes", VERSIONS)
@pytest.mark.parametrize("case", CASES)
def test_each_document_fits_its_schema(helm: Helm, case: str, kubernetes: str) -> None:
    """Every document of every case must be one that the cluster would take."""
    documents = helm.documents(CASES[case])
    assert documents
    for document in documents:
        _validate_once(document, kubernetes)


@pytest.mark.parametrize("kubernetes", VERSIONS)
@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.name)
def test_the_example_values_fit(helm: Helm, file: Path, kubernetes: str) -> None:
    """The values files that come with the chart must render as they are."""
    for document in helm.documents(yaml.safe_load(file.read_text())):
        _validate_once(document, kubernetes)


def test_lint(helm: Helm) -> None:
    """The chart must pass Helm's linter, warnings included, alone and with each values file."""
    helm.lint()
    for file in _FILES:
        helm.lint(file)


@pytest.mark.parametrize(
    "fault",
    [
        {"apiVersion": "v1", "kind": "Confgmap", "metadata": {"name": "a"}},
        {"apiVersion": "keda.sh/v2", "kind": "ScaledObject", "metadata": {"name": "a"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "dta": {}},
        {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {}, "spec": {"minReplica": 1}},
    ],
    ids=["unknown kind", "unknown version", "unknown field", "unknown field of a custom resource"],
)
def test_a_fault_is_found(fault: Document) -> None:
    """The check itself must fail for kinds and fields that do not exist."""
    with pytest.raises(errors()):
        validate(fault, VERSIONS[0])


def test_older_clusters_are_refused(helm: Helm) -> None:
    """A cluster older than the chart is tested with must be refused by Helm; the others get the same text."""
    assert len({helm.render(MINIMAL, kubernetes=kubernetes) for kubernetes in VERSIONS}) == 1
    with pytest.raises(Refused, match="kubeVersion"):
        helm.render(MINIMAL, kubernetes="1.30")


def test_the_same_values_give_the_same_text(helm: Helm) -> None:
    """GitOps compares texts: nothing random, nothing of the moment may be in them."""
    values = merged(CASES["everything of the pod"], SASL, OPERATORS, KEDA, {"topics": {"mode": "job"}})
    assert helm.render(values) == helm.render(values)


def _validate_once(document: Document, kubernetes: str) -> None:
    seen = (json.dumps(document, sort_keys=True), kubernetes)
    if seen not in _seen:
        validate(document, kubernetes)
        _seen.add(seen)
