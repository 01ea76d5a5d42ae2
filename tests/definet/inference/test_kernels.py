from __future__ import annotations

import logging

import pytest
import torch

from definet_flows.definet.inference import kernels
from definet_flows.definet.inference.kernels import load_kernels


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """A machine that has built nothing yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    load_kernels.cache_clear()
    yield tmp_path / "definet-flows"
    load_kernels.cache_clear()


def test_they_are_built_once(fresh, monkeypatch):
    if load_kernels() is None:
        pytest.skip("no C++ compiler here")
    (library,) = fresh.iterdir()
    built = library.stat().st_mtime_ns
    load_kernels.cache_clear()
    monkeypatch.setattr(kernels.subprocess, "run", None)
    assert load_kernels() is not None
    assert library.stat().st_mtime_ns == built


def test_without_a_compiler_there_are_none_and_one_line_says_so(fresh, monkeypatch, caplog):
    monkeypatch.setenv("PATH", "")
    with caplog.at_level(logging.WARNING):
        assert load_kernels() is None
        assert load_kernels() is None
    (record,) = caplog.records
    assert "no C++ compiler found" in record.message


@pytest.mark.parametrize("compiler", ["false", "no-such-compiler"])
def test_a_compiler_that_fails_is_named(fresh, monkeypatch, caplog, compiler):
    monkeypatch.setenv("CXX", compiler)
    with caplog.at_level(logging.WARNING):
        assert load_kernels() is None
    (record,) = caplog.records
    assert f"{compiler} cannot build the kernels" in record.message
    assert not list(fresh.iterdir())


@pytest.mark.parametrize(
    "wrong",
    [torch.zeros(4, 3).T, torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.int64)],
    ids=["strided", "double", "long"],
)
def test_a_tensor_that_the_compiled_code_would_misread_is_refused(wrong):
    built = load_kernels()
    if built is None:
        pytest.skip("no C++ compiler here")
    with pytest.raises(ValueError, match="contiguous float32 or int32"):
        built("activate", 1, wrong, wrong, 16, wrong)
