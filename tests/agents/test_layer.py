"""Passes through the decoder's layers: gradients for some rows alone, and what is kept for them."""

import pytest
import torch
from reasoning_arena.agents import layer, product
from reasoning_arena.agents.fused import FusedDecoder
from reasoning_arena.agents.kv_cache import LeadingRowCache, SharedHeadCache
from reasoning_arena.agents.models import LoadedModel
from torch import Tensor

ROWS, COLUMNS, SHARED, WANTED = 4, 9, 3, 2
MASK = torch.ones(ROWS, COLUMNS, dtype=torch.bool)
MASK[1, :4], MASK[3, :2] = False, False


@pytest.fixture(autouse=True, params=["plain", "packed"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights as they are; and packed, where tokens are made up to a multiple of five."""
    if request.param == "packed":
        for name, value in (("LARGE", 0), ("FEW", 0), ("STEP", 5)):
            monkeypatch.setattr(product, name, value)


def inputs(lm: LoadedModel) -> tuple[Tensor, Tensor]:
    """Embeddings of rows, and of a head."""
    generator = torch.Generator().manual_seed(0)
    shapes = (ROWS, COLUMNS, lm.width), (1, SHARED, lm.width)
    embeds, head = (torch.randn(*shape, generator=generator).requires_grad_() for shape in shapes)
    return embeds, head


def read(decoder: FusedDecoder, kind: str, embeds: Tensor, head: Tensor, derived: int | None) -> list[Tensor]:
    """Features, keys and values of all rows but one that leads."""
    layers = len(decoder.layers)
    if kind == "leading":  # the first row is the head of the others
        rows = torch.cat([torch.ones(ROWS - 1, SHARED, dtype=torch.bool), MASK[1:]], 1)
        mask = torch.cat([(torch.arange(SHARED + COLUMNS) // SHARED == 1)[None], rows])
        cache: SharedHeadCache = LeadingRowCache(layers, SHARED)
        features = decoder(embeds, mask, cache, WANTED, derived)
        others = cache.others()
        assert others.head is not None
        return [features[1:], *(one for pair in (*others.own, *others.head) for one in pair)]
    before = SharedHeadCache(layers)
    if kind == "headed":
        decoder(head, torch.ones(1, SHARED, dtype=torch.bool), before, 0)
    shared = before.own if kind == "headed" else None
    cache, mask = SharedHeadCache(layers, shared), MASK
    if shared:
        mask = torch.cat([torch.ones(ROWS, SHARED, dtype=torch.bool), MASK], 1)
    return [decoder(embeds, mask, cache, WANTED, derived), *(one for pair in cache.own for one in pair)]


def gradients(outputs: list[Tensor], rows: int, *wanted: Tensor) -> tuple[Tensor, ...]:
    """Of something made from the first rows of all outputs."""
    total = sum((one[:rows] * torch.linspace(-1, 1, one[:rows].numel()).view_as(one[:rows])).sum() for one in outputs)
    return torch.autograd.grad(total, wanted, allow_unused=True, materialize_grads=True)


@pytest.mark.parametrize("kind", ["alone", "headed", "leading"])
@pytest.mark.parametrize("derived", [2, 3, ROWS])
@pytest.mark.parametrize("kept", [0, 512])
def test_gradients_of_the_first_rows(
    lm: LoadedModel, kind: str, derived: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder, (embeds, head) = FusedDecoder(lm.model), inputs(lm)
    rows = derived - (kind == "leading")
    every = read(decoder, kind, embeds, head, None)
    monkeypatch.setattr(layer, "KEPT_COLUMNS", kept)
    some = read(decoder, kind, embeds, head, derived)
    for one, other in zip(some, every, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    found, expected = (gradients(outputs, rows, embeds, head) for outputs in (some, every))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)
    assert expected[0][:derived].any(-1).any(-1).all()
    assert bool(expected[1].any()) == (kind == "headed")


@pytest.mark.parametrize("derived", [1, 2, 3])
def test_no_gradient_goes_to_other_rows(lm: LoadedModel, derived: int) -> None:
    decoder, (embeds, _) = FusedDecoder(lm.model), inputs(lm)
    features = decoder(embeds, MASK, SharedHeadCache(len(decoder.layers)), COLUMNS, derived)
    (gradient,) = torch.autograd.grad(features[MASK].sum(), embeds)
    assert gradient[:derived].any()
    assert not gradient[derived:].any()


def test_there_are_no_second_derivatives(lm: LoadedModel) -> None:
    decoder, (embeds, head) = FusedDecoder(lm.model), inputs(lm)
    loss = read(decoder, "headed", embeds, head, None)[0].square().sum()
    with pytest.raises(RuntimeError, match="create_graph"):
        torch.autograd.grad(loss, embeds, create_graph=True)


@pytest.mark.parametrize("derived", [2, ROWS])
def test_what_is_read_again_for_gradients_is_that_of_rows_with_gradients(lm: LoadedModel, derived: int) -> None:
    decoder, (embeds, head) = FusedDecoder(lm.model), inputs(lm)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda one: kept.append(one) or one, lambda one: one):
        read(decoder, "alone", embeds, head, derived)
    tokens = int(MASK[:derived].sum())
    tokens += product.missing_rows(tokens)
    hidden, gates = lm.width, 2 * lm.model.config.intermediate_size
    shapes = [tuple(one.shape) for one in kept]
    layers = len(decoder.layers)
    assert shapes.count((tokens, gates)) == layers - 1  # of the last one that of the wanted columns
    assert shapes.count((tokens, hidden)) == 2 * layers - 1
    assert not [shape for shape in shapes if shape[0] > tokens and shape[-1] == gates]
