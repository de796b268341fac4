"""Versions are read and written in one way, and later ones are greater."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.model.errors import UserError
from bedplate.model.versions import ARCHITECTURES, ImageVersion, KubernetesMinor, require_same_minor

minors = st.builds(KubernetesMinor, st.integers(0, 9), st.integers(0, 999))
images = st.builds(
    ImageVersion,
    kubernetes=minors,
    day=st.dates(min_value=date(1000, 1, 1)),
    count=st.integers(0, 10_000),
    architecture=st.sampled_from(ARCHITECTURES),
)


def test_an_image_version_is_written_as_the_design_says() -> None:
    version = ImageVersion(KubernetesMinor(1, 37), date(2026, 11, 24), 0, "amd64")
    assert str(version) == "Bedplate-1.37-amd64-202611.24.0"


@given(images)
def test_an_image_version_reads_as_it_was_written(version: ImageVersion) -> None:
    assert ImageVersion.parse(str(version)) == version


@given(minors)
def test_a_minor_reads_as_it_was_written(minor: KubernetesMinor) -> None:
    assert KubernetesMinor.parse(str(minor)) == minor


@given(st.text())
def test_whatever_reads_at_all_is_written_the_same(text: str) -> None:
    try:
        version = ImageVersion.parse(text)
    except UserError:
        return
    assert str(version) == text


@given(images, images)
def test_later_is_greater_within_a_minor(one: ImageVersion, other: ImageVersion) -> None:
    if one.kubernetes == other.kubernetes and (one.day, one.count) < (other.day, other.count):
        assert one < other


def test_counts_are_compared_as_numbers() -> None:
    assert ImageVersion.parse("Bedplate-1.37-amd64-202611.24.9") < ImageVersion.parse(
        "Bedplate-1.37-amd64-202611.24.10"
    )


@pytest.mark.parametrize("text", ["1.37", "1.37.2", "v1.37.2"])
def test_a_patch_version_has_its_minor(text: str) -> None:
    assert KubernetesMinor.parse(text) == KubernetesMinor(1, 37)


@pytest.mark.parametrize("text", ["", "1", "1.037", "1.37.", "1.37.2.1", "1.37-rc", "\u0663.\u0661", "1.37\n"])
def test_what_is_no_kubernetes_version_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        KubernetesMinor.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "Bedplate-1.37-amd64-202613.24.0",
        "Bedplate-1.37-amd64-202602.30.0",
        "Bedplate-1.37-riscv-202611.24.0",
        "Bedplate-1.37-amd64-202611.24.00",
        "Bedplate-1.37.2-amd64-202611.24.0",
        "bedplate-1.37-amd64-202611.24.0",
        "Ubuntu-1.37-amd64-202611.24.0",
    ],
)
def test_what_is_no_image_version_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="not the version of a node image"):
        ImageVersion.parse(text)


def test_an_image_of_the_wanted_minor_is_accepted() -> None:
    require_same_minor("1.37.2", "Bedplate-1.37-amd64-202611.24.0")


def test_an_image_of_another_minor_is_the_requests_fault() -> None:
    with pytest.raises(UserError, match=r"carries Kubernetes 1\.36, but orchestratorVersion is 1\.37"):
        require_same_minor("1.37", "Bedplate-1.36-amd64-202611.24.0")
