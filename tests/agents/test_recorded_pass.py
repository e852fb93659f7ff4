"""Recorded passes give what the decoder gives, whatever other passes come between one and its gradient."""

import gc
import weakref
from collections.abc import Callable

import pytest
import torch
from reasoning_arena.agents import fused, recorded_pass
from reasoning_arena.agents.fused import FusedDecoder
from reasoning_arena.agents.graphs import Graphs
from reasoning_arena.agents.kv_cache import KeysValues, SharedHeadCache
from reasoning_arena.agents.models import LoadedModel
from reasoning_arena.agents.recorded_pass import OFTEN, Passes
from torch import Tensor

Read = Callable[[Tensor, Tensor, SharedHeadCache, int], Tensor]
COUNTS = [(1, 3), (3, 9), (9, 17), (8, 8)]  # of rows and columns


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "PADS_SKIPPED_ON", ())


@pytest.fixture
def passes(lm: LoadedModel) -> Passes:
    return Passes(FusedDecoder(lm.model), False, lm.device)


def made(lm: LoadedModel, seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, lm.width, generator=generator).requires_grad_()


def read(through: Read, layers: int, embeds: Tensor, head: Tensor | None = None, wanted: int = 2) -> list[Tensor]:
    """Features, keys and values behind a head that is read first, where there is one."""
    n, length, _ = embeds.shape
    before: KeysValues | None = None
    if head is not None:
        first = SharedHeadCache(layers)
        through(head[None], torch.ones(1, len(head), dtype=torch.bool), first, 0)
        before = first.own
    cache = SharedHeadCache(layers, before)
    mask = torch.ones(n, length + (0 if head is None else len(head)), dtype=torch.bool)
    features = through(embeds, mask, cache, wanted)
    return [features, *(one for pair in cache.own for one in pair)]


def derived(outputs: list[Tensor], *inputs: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(sum((one * one).sum() for one in outputs), inputs)


def assert_close(got: list[Tensor] | tuple[Tensor, ...], expected: list[Tensor] | tuple[Tensor, ...]) -> None:
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(("rows", "columns"), COUNTS)
def test_what_comes_often_is_recorded_and_gives_the_same(
    lm: LoadedModel, passes: Passes, rows: int, columns: int
) -> None:
    layers = len(passes.decoder.layers)
    for turn in range(2 * OFTEN + 1):
        embeds, head = made(lm, turn, rows, columns), made(lm, -turn, 5)
        outputs = read(passes, layers, embeds, head)
        expected = read(passes.decoder, layers, embeds, head)
        assert_close(outputs, expected)
        assert_close(derived(outputs, embeds, head), derived(expected, embeds, head))
        with torch.no_grad():
            assert_close(read(passes, layers, embeds), read(passes.decoder, layers, embeds))
    # A head, which has one row, the rows behind it, and the rows without one and without gradients.
    slots = sorted(size.slot for size in passes._recordings if size.slot is not None)
    assert slots == [0, 1]
    assert len(passes._recordings) == 3


def test_gradients_may_be_asked_for_in_any_order(
    lm: LoadedModel, passes: Passes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded_pass, "OFTEN", 0)
    layers = len(passes.decoder.layers)
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        each = [made(lm, seed, 4, 6) for seed in range(3)]  # of one size
        outputs = [read(passes, layers, embeds) for embeds in each]
        assert {claim.slot for claim in passes._claims} == {0, 1, 2}
        for k in order:
            assert_close(derived(outputs[k], each[k]), derived(read(passes.decoder, layers, each[k]), each[k]))
        assert not passes._claims


def test_a_gradient_that_nobody_can_ask_for_keeps_no_slot(
    lm: LoadedModel, passes: Passes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded_pass, "OFTEN", 0)
    layers, embeds = len(passes.decoder.layers), made(lm, 0, 2, 4)
    for _ in range(3):
        outputs = read(passes, layers, embeds)
        assert {claim.slot for claim in passes._claims} == {0}
        del outputs
    assert not passes._claims
    assert len(passes._recordings) == 1


def test_a_recorded_gradient_is_computed_once(lm: LoadedModel, passes: Passes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded_pass, "OFTEN", 0)
    embeds = made(lm, 0, 2, 4)
    loss = read(passes, len(passes.decoder.layers), embeds)[0].sum()
    torch.autograd.grad(loss, embeds, retain_graph=True)
    with pytest.raises(RuntimeError, match="once"):
        torch.autograd.grad(loss, embeds)


def test_recordings_end_together_when_their_memory_is_spent(
    lm: LoadedModel, passes: Passes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded_pass, "OFTEN", 0)
    monkeypatch.setattr(recorded_pass, "PADS", 0)
    layers = len(passes.decoder.layers)
    with torch.no_grad():
        read(passes, layers, made(lm, 0, 8, 8))
        passes._room = 3 * passes._held
        for columns in (8, 16, 24, 8, 64):
            embeds = made(lm, columns, 8, columns)
            assert_close(read(passes, layers, embeds), read(passes.decoder, layers, embeds))
            assert passes._held <= passes._room
    assert [size.columns for size in passes._recordings] == [
        8
    ]  # 24 left no room for it, and 64 need more than there is
    kept = made(lm, 1, 8, 8)
    outputs = read(passes, layers, kept)
    passes._room = passes._held
    for _ in range(2):  # what still waits for its gradient stays
        read(passes, layers, made(lm, 2, 8, 16))
    assert_close(derived(outputs, kept), derived(read(passes.decoder, layers, kept), kept))


def test_large_passes_and_single_columns_are_not_recorded(
    lm: LoadedModel, passes: Passes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded_pass, "OFTEN", 0)
    monkeypatch.setattr(recorded_pass, "MOST_TOKENS", 100)
    layers = len(passes.decoder.layers)
    with torch.no_grad():
        for shape in ((11, 10), (3, 1)):
            embeds = made(lm, 0, *shape)
            assert_close(read(passes, layers, embeds, wanted=1), read(passes.decoder, layers, embeds, wanted=1))
    assert not passes._recordings


def test_what_a_model_computes_to_learn_itself_is_not_recorded(
    lm: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded_pass, "OFTEN", 0)
    passes = Passes(FusedDecoder(lm.model), True, lm.device)
    read(passes, len(passes.decoder.layers), made(lm, 0, 2, 8))
    assert not passes._recordings
    with torch.no_grad():
        read(passes, len(passes.decoder.layers), made(lm, 0, 2, 8))
    assert len(passes._recordings) == 1


def test_passes_end_with_who_used_them(lm: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded_pass, "OFTEN", 0)
    passes = Passes(FusedDecoder(lm.model), False, lm.device)
    monkeypatch.setattr(
        Graphs, "recorded", lambda self, work, pool, warm_up=None: work() or (lambda: None)
    )  # as a graph
    read(passes, len(passes.decoder.layers), made(lm, 0, 2, 8))
    held = weakref.ref(passes.decoder)
    gc.disable()
    try:
        del passes
        assert held() is None
    finally:
        gc.enable()


def test_a_recording_that_fails_is_not_kept(lm: LoadedModel, passes: Passes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded_pass, "OFTEN", 0)

    def fails(*args: object, **kwargs: object) -> None:
        raise torch.OutOfMemoryError

    layers, embeds = len(passes.decoder.layers), made(lm, 0, 2, 8)
    with monkeypatch.context() as patch:
        patch.setattr(passes.graphs, "recorded", fails)
        with pytest.raises(torch.OutOfMemoryError):
            read(passes, layers, embeds)
    assert not passes._recordings
    assert passes._held == 0
    assert_close(read(passes, layers, embeds), read(passes.decoder, layers, embeds))
