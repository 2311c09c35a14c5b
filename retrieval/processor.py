"""What this machine multiplies fast."""

import torch


def bfloat16_is_fast() -> bool:
    """Whether a GPU or the processor's own instructions multiply such numbers.

    Without these (most laptops have AVX2 alone) torch takes one number at a time: backwards a
    product of matrices took 70 times, forwards for 256 tokens six times as long as in float32.
    """
    # What torch itself asks before it leaves them to oneDNN; there is no public name for it.
    return torch.cuda.is_available() or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
