"""What of the GPU route can be tested without one: sizes, order, falling back."""

from __future__ import annotations

import logging

import pytest
import torch

from definet_flows.definet.inference.cuda import StaticForward


def sums(atomic_numbers, markers):
    return (atomic_numbers + markers).double().unsqueeze(-1).expand(-1, -1, 3)


def batches(*sizes):
    generator = torch.Generator().manual_seed(0)
    return [tuple(torch.randint(0, 9, (2, size, 5), generator=generator)) for size in sizes]


def test_every_batch_has_the_size_of_the_first():
    sizes = []

    def compiler(forward):
        def compiled(atomic_numbers, markers):
            sizes.append(len(markers))
            return forward(atomic_numbers, markers)

        return compiled

    static = StaticForward(sums, torch.device("cpu"), compiler)
    for batch in batches(4, 4, 3, 1):
        assert torch.equal(static(*batch), sums(*batch))
    assert sizes == [4, 4, 4, 4]


def test_a_result_outlives_the_next_call():
    place = torch.zeros(2, 5, 3, dtype=torch.float64)
    static = StaticForward(lambda *batch: place.copy_(sums(*batch)), torch.device("cpu"), lambda forward: forward)
    first, second = batches(2, 2)
    kept = static(*first)
    static(*second)
    assert torch.equal(kept, sums(*first))


def test_what_cannot_be_compiled_goes_on_without(caplog):
    def compiler(forward):
        def compiled(*batch):
            raise RuntimeError("Cannot find a working triton installation\nmore")

        return compiled

    static = StaticForward(sums, torch.device("cpu"), compiler)
    with caplog.at_level(logging.WARNING):
        for batch in batches(2, 2):
            assert torch.equal(static(*batch), sums(*batch))
    (record,) = caplog.records
    assert record.message.endswith("(Cannot find a working triton installation): it goes on without")


def test_after_running_out_of_memory_a_smaller_batch_is_a_smaller_batch():
    def compiler(forward):
        def compiled(atomic_numbers, markers):
            if len(markers) > 2:
                raise torch.OutOfMemoryError
            return forward(atomic_numbers, markers)

        return compiled

    static = StaticForward(sums, torch.device("cpu"), compiler)
    large, small = batches(4, 2)
    with pytest.raises(torch.OutOfMemoryError):
        static(*large)
    assert torch.equal(static(*small), sums(*small))
