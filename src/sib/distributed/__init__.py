"""Several processes that train one model."""

from typing import TYPE_CHECKING

from sib.utils.lazy import attach

if TYPE_CHECKING:
    from sib.distributed.launcher import launched as launched
    from sib.distributed.launcher import leave as leave
    from sib.distributed.launcher import refuse as refuse
    from sib.distributed.launcher import speaks as speaks
    from sib.distributed.processes import first as first
    from sib.distributed.processes import gathered as gathered
    from sib.distributed.processes import join as join
    from sib.distributed.processes import largest as largest
    from sib.distributed.processes import noticing_loss as noticing_loss
    from sib.distributed.processes import of_first as of_first
    from sib.distributed.processes import own_seed as own_seed
    from sib.distributed.processes import raise_any as raise_any
    from sib.distributed.processes import rank as rank
    from sib.distributed.processes import size as size
    from sib.distributed.processes import together as together
    from sib.distributed.processes import total as total
    from sib.distributed.processes import weights_of_first as weights_of_first
    from sib.utils.errors import ProcessLost as ProcessLost

# the command line asks for its launcher before it knows whether torch will be needed
__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "sib.distributed.launcher": ["launched", "leave", "refuse", "speaks"],
        "sib.distributed.processes": [
            "first",
            "gathered",
            "join",
            "largest",
            "noticing_loss",
            "of_first",
            "own_seed",
            "raise_any",
            "rank",
            "size",
            "together",
            "total",
            "weights_of_first",
        ],
        "sib.utils.errors": ["ProcessLost"],
    },
)
