from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from transferbench.errors import UserError
from transferbench.models.language import MaskedLanguageModel, transformers_language
from transferbench.text.masking import mask_for_language

has_transformers = importlib.util.find_spec("transformers") is not None


def small(**more: float) -> MaskedLanguageModel:
    return MaskedLanguageModel(20, 16, layers=2, heads=2, length=8, **more)


def test_padding_is_not_looked_at() -> None:
    model = small().eval()
    tokens = torch.tensor([[1, 5, 6, 2, 0, 0]])
    short = model.hidden(tokens[:, :4])
    torch.testing.assert_close(model.hidden(tokens)[:, :4], short)
    other = model.hidden(torch.tensor([[1, 5, 7, 2, 0, 0]]))
    assert not torch.allclose(other[:, 0], short[:, 0])
    seen = model.hidden(tokens, torch.zeros(1, 6, dtype=torch.bool))
    assert not torch.allclose(seen[:, :4], short, atol=1e-4)
    assert torch.isfinite(model.hidden(torch.zeros(2, 4, dtype=torch.int64))).all()


def test_training_and_evaluation_compute_the_same_without_dropout() -> None:
    model, tokens = small(dropout=0.0), torch.tensor([[1, 5, 6, 2, 0, 0], [1, 7, 8, 9, 11, 2]])
    trained = model(tokens)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(tokens)[tokens != 0], trained[tokens != 0])


def test_the_output_layer_is_the_embedding() -> None:
    model = small().eval()
    hidden = torch.randn(3, 16)
    wanted = model.transform(hidden) @ model.words.weight.T + model.bias
    torch.testing.assert_close(model.predict(hidden), wanted)
    assert [tuple(p.shape) for p in model.parameters()].count((20, 16)) == 1
    tokens = torch.tensor([[1, 5, 6]])
    torch.testing.assert_close(model(tokens), model.predict(model.hidden(tokens)))


def test_it_starts_like_bert() -> None:
    torch.manual_seed(0)
    model = MaskedLanguageModel(500, 64, layers=2, heads=4)
    first, second = (layer.linear1.weight for layer in model.encoder.layers)
    assert not torch.equal(first, second)
    for weight in (first, second, model.words.weight, model.positions.weight):
        assert float(weight.std()) == pytest.approx(0.02, rel=0.05)
    assert not model.words.weight[0].any()
    with torch.no_grad():
        loss = F.cross_entropy(model(torch.randint(1, 500, (4, 12))).flatten(0, 1), torch.randint(500, (48,)))
    assert float(loss) == pytest.approx(6.215, abs=0.05)  # ln 500: all words are about equally likely


def test_it_learns_a_grammar() -> None:
    torch.manual_seed(0)
    model = MaskedLanguageModel(20, 32, layers=1, heads=2, length=8, dropout=0.0)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    first = torch.randint(5, 12, (64,))
    tokens = torch.stack([torch.ones_like(first), first, first + 7, torch.full_like(first, 2)], dim=1)
    for _ in range(60):
        seen, targets = mask_for_language(tokens, tokens > 4, model.mask, model.size)
        chosen = targets >= 0
        loss = F.cross_entropy(model.predict(model.hidden(seen)[chosen]), targets[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    hidden = tokens.clone()
    hidden[:, 2] = model.mask
    assert (model.eval()(hidden)[:, 2].argmax(1) == tokens[:, 2]).float().mean() > 0.9


def test_another_tokeniser_is_refused() -> None:
    model = small()
    model.check_tokeniser("a tokeniser")
    model.bind_tokeniser("a tokeniser")
    again = small()
    again.load_state_dict(model.state_dict())
    again.check_tokeniser("a tokeniser")
    with pytest.raises(UserError, match="trained with another tokeniser"):
        again.check_tokeniser("another")
    assert model.tokeniser_digest.dtype == torch.int64


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(UserError, match="captions of 9 tokens: this language model takes 8"):
        small()(torch.ones(1, 9, dtype=torch.int64))
    with pytest.raises(UserError, match=r"language\.width=10: expected a multiple of language\.heads=4"):
        MaskedLanguageModel(20, 10, heads=4)


@pytest.mark.skipif(has_transformers, reason="transformers is installed")
def test_without_the_library_the_error_says_what_to_install() -> None:
    with pytest.raises(UserError, match="pip install"):
        transformers_language("bert", pretrained=False)


@pytest.mark.skipif(not has_transformers, reason="transformers is not installed")
def test_bert_has_its_published_size() -> None:
    with torch.device("meta"):
        model = transformers_language("bert", pretrained=False)
    base = model.net.base_model
    assert (model.width, model.size, model.pad, model.mask, model.length) == (768, 30_522, 0, 103, 512)
    assert sum(p.numel() for p in base.parameters()) == 108_891_648
    assert sum(p.numel() for p in base.embeddings.parameters()) == 23_837_184
    assert sum(p.numel() for p in base.encoder.layer[0].parameters()) == 7_087_872


@pytest.mark.skipif(not has_transformers, reason="transformers is not installed")
def test_a_folder_of_the_library_behind_the_same_interface(tmp_path: Path) -> None:
    import transformers

    config = transformers.DistilBertConfig(vocab_size=20, dim=16, n_heads=2, n_layers=2, hidden_dim=32)
    published = transformers.DistilBertForMaskedLM(config).eval()
    published.save_pretrained(tmp_path)
    model = transformers_language(str(tmp_path), mask=3).eval()
    tokens = torch.tensor([[1, 5, 6, 2, 0, 0]])
    short = published(input_ids=tokens[:, :4]).logits
    torch.testing.assert_close(model(tokens)[:, :4], short)
    torch.testing.assert_close(model.hidden(tokens)[:, :4], model.hidden(tokens[:, :4]))
    assert model.hidden(tokens).shape == (1, 6, model.width) == (1, 6, 16)
    assert torch.isfinite(model.hidden(torch.zeros_like(tokens))).all()
    with pytest.raises(UserError, match="transformers could not build"):
        transformers_language(str(tmp_path / "missing"), pretrained=False)
