"""Stores weights in fewer bits."""

import io
import json
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from compressed_tensors.compressors import ModelCompressor
from compressed_tensors.quantization import (
    QuantizationArgs,
    QuantizationConfig,
    QuantizationScheme,
    QuantizationStatus,
    apply_quantization_config,
)
from compressed_tensors.quantization.utils import calculate_qparams
from transformers import PreTrainedModel


def save_int8(model: PreTrainedModel, folder: Path) -> None:
    """Write every matrix as whole numbers in [-128, 127] with a scale for each row.

    The file is a quarter of that in float32. transformers and sentence-transformers make it dense
    again when they load it, so it computes as fast as before, in the precision of its base.
    """
    tied = _tied(model)
    config = QuantizationConfig(
        config_groups={
            "int8": QuantizationScheme(
                targets=["Linear", "Embedding"],
                weights=QuantizationArgs(
                    num_bits=8, type="int", symmetric=True, strategy="channel"
                ),
            )
        },
        ignore=tied,
    )
    # It draws bars, whatever it is told.
    with redirect_stderr(io.StringIO()):
        apply_quantization_config(model, config)
        for module in model.modules():
            if getattr(module, "quantization_scheme", None) is not None:
                _set_scales(module)
        compressor = ModelCompressor.from_pretrained_model(model)
        compressor.compress_model(model)
    own = {f"{name}.weight" for name in tied}
    weights = {name: value for name, value in model.state_dict().items() if name not in own}
    model.save_pretrained(folder, state_dict=weights)
    compressor.update_config(str(folder))
    _load_dense(folder / "config.json")


def _set_scales(module: Any) -> None:
    weight = module.weight.detach()
    scale, _ = calculate_qparams(
        weight.amin(dim=1, keepdim=True),
        weight.amax(dim=1, keepdim=True),
        module.quantization_scheme.weights,
    )
    module.weight_scale.data.copy_(scale)
    module.quantization_status = QuantizationStatus.FROZEN


def _tied(model: PreTrainedModel) -> list[str]:
    """The output head where it is the embedding itself."""
    head: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]  # no stubs
    embedding: Any = model.get_input_embeddings()
    if head is None or head.weight is not embedding.weight:
        return []
    return [name for name, module in model.named_modules() if module is head]


def _load_dense(path: Path) -> None:
    # Left packed, an embedding has no weight that transformers could set up.
    config = json.loads(path.read_bytes())
    config["quantization_config"]["dequantize"] = True
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
