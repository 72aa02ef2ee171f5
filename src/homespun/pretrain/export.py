"""Checkpoints in Hugging Face's form, as `ApertusForCausalLM`: out and in, the same numbers.

A folder with ``config.json`` and ``model.safetensors``; whatever reads the published models reads ours, and the
published models are read by ours. Names differ in a prefix alone.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from homespun.errors import DataError
from homespun.pretrain.model import Apertus, Config
from homespun.runs.tables import atomic

_BARE = {"embed_tokens": "model.embed_tokens.weight", "lm_head": "lm_head.weight"}


def their_name(name: str) -> str:
    """A weight's name in transformers."""
    return _BARE.get(name, f"model.{name}")


def hf_config(config: Config, **ids: int) -> dict[str, Any]:
    """The shape as transformers' ``config.json``.

    Args:
        config: The model's.
        ids: ``bos_token_id``, ``eos_token_id`` and the like, where they differ from 1 and 2.
    """
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": config.theta}
    if config.factor != 1:
        scaling = {"factor": config.factor, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
        rope |= {"rope_type": "llama3", "original_max_position_embeddings": 8192, **scaling}
    return {
        "architectures": ["ApertusForCausalLM"],
        "model_type": "apertus",
        "vocab_size": config.vocab,
        "hidden_size": config.width,
        "intermediate_size": config.ffn,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "max_position_embeddings": config.context,
        "initializer_range": config.init,
        "rms_norm_eps": config.eps,
        "hidden_act": "xielu",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "tie_word_embeddings": False,
        "rope_parameters": rope,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 3,
        **ids,
    }


def export(model: Apertus, folder: Path, dtype: torch.dtype = torch.bfloat16, **ids: int) -> Path:
    """Writes a folder that `transformers` loads; every file whole or not at all.

    Args:
        model: The model.
        folder: Where.
        dtype: Of the weights; xIELU's scalars too, since transformers casts them.
        ids: See `hf_config`.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        their_name(name): value.detach().to(dtype).cpu().contiguous() for name, value in model.named_parameters()
    }
    for layer in range(model.config.layers):  # constants that transformers keeps beside the scalars
        place = f"model.layers.{layer}.mlp.act_fn"
        weights |= {f"{place}.beta": torch.tensor(0.5, dtype=dtype), f"{place}.eps": torch.tensor(-1e-6, dtype=dtype)}
    with atomic(folder / "model.safetensors") as temporary:
        save_file(weights, temporary, metadata={"format": "pt"})
    settings = hf_config(model.config, **ids) | {"dtype": str(dtype).removeprefix("torch.")}
    with atomic(folder / "config.json") as temporary:
        temporary.write_text(json.dumps(settings, indent=2) + "\n")
    return folder


def load(folder: Path, dtype: torch.dtype = torch.float32) -> Apertus:
    """Reads a folder that `export` or transformers wrote.

    Raises:
        DataError: it holds no Apertus, or its weights don't fit its configuration.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        settings = json.loads((folder / "config.json").read_text())
        found: dict[str, Tensor] = {}
        for file in sorted(folder.glob("*.safetensors")):
            found |= load_file(file)
    except (OSError, ValueError, SafetensorError) as error:
        text = f"cannot be read as a model: {str(error).splitlines()[0][:200]}"
        raise DataError(text, str(folder), "a folder with config.json and model.safetensors") from None
    config = shape(settings, folder)
    with torch.device("meta"):
        model = Apertus(config)
    named = {name: found.get(their_name(name)) for name, _ in model.named_parameters()}
    for name, expected in model.named_parameters():
        weight = named[name]
        if weight is None or weight.shape != expected.shape:
            said = "is missing" if weight is None else f"has shape {tuple(weight.shape)}, not {tuple(expected.shape)}"
            raise DataError(f"{their_name(name)} {said}", str(folder), "weights that fit config.json")
    model.load_state_dict({name: weight.to(dtype) for name, weight in named.items() if weight is not None}, assign=True)
    return model


def shape(settings: dict[str, Any], where: Path) -> Config:
    """A model's shape from transformers' configuration.

    Raises:
        DataError: it is another architecture, or has parts that Apertus hasn't.
    """
    rope = settings.get("rope_parameters") or settings.get("rope_scaling") or {}
    kind = rope.get("rope_type", "default")
    strange = settings.get("model_type") != "apertus" or kind not in ("default", "llama3")
    if strange or settings.get("attention_bias") or settings.get("tie_word_embeddings"):
        raise DataError("is no Apertus", str(where / "config.json"), "model_type apertus, no biases, untied embeddings")
    try:
        return Config(
            layers=settings["num_hidden_layers"],
            width=settings["hidden_size"],
            ffn=settings["intermediate_size"],
            heads=settings["num_attention_heads"],
            kv_heads=settings["num_key_value_heads"],
            vocab=settings["vocab_size"],
            context=settings["max_position_embeddings"],
            theta=rope.get("rope_theta") or settings.get("rope_theta", 5e5),
            factor=rope.get("factor", 1.0) if kind == "llama3" else 1.0,
            init=settings.get("initializer_range", 0.02),
            eps=settings["rms_norm_eps"],
        )
    except KeyError as error:
        raise DataError(f"has no {error}", str(where / "config.json"), "a whole configuration") from None
