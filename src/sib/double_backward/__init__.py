"""Forward passes whose gradient can be differentiated again, at low cost."""

from sib.double_backward.checkpointing import checkpointed, repeated_blocks
from sib.double_backward.checks import check_graph, check_model
from sib.double_backward.scope import attention_with_second_order, second_order

__all__ = [
    "attention_with_second_order",
    "check_graph",
    "check_model",
    "checkpointed",
    "repeated_blocks",
    "second_order",
]
