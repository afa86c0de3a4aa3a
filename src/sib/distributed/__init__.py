"""Several processes that work on one model."""

from typing import TYPE_CHECKING

from sib.utils.lazy import attach

if TYPE_CHECKING:
    from sib.distributed.launcher import launched as launched
    from sib.distributed.launcher import leave as leave
    from sib.distributed.launcher import refuse as refuse
    from sib.distributed.launcher import should_print as should_print
    from sib.distributed.launcher import should_report as should_report
    from sib.distributed.processes import all_gather_object as all_gather_object
    from sib.distributed.processes import all_reduce_max as all_reduce_max
    from sib.distributed.processes import all_reduce_sum as all_reduce_sum
    from sib.distributed.processes import broadcast_module as broadcast_module
    from sib.distributed.processes import broadcast_object as broadcast_object
    from sib.distributed.processes import is_main_process as is_main_process
    from sib.distributed.processes import join as join
    from sib.distributed.processes import raise_any as raise_any
    from sib.distributed.processes import raise_on_all_ranks as raise_on_all_ranks
    from sib.distributed.processes import rank as rank
    from sib.distributed.processes import rank_seed as rank_seed
    from sib.distributed.processes import size as size
    from sib.distributed.processes import translate_lost_peer as translate_lost_peer
    from sib.distributed.shares import gather_to_main as gather_to_main
    from sib.distributed.shares import own_places as own_places
    from sib.distributed.shares import share_out as share_out
    from sib.utils.errors import ProcessLost as ProcessLost

# the command line needs the launcher before it knows whether it will need torch
if not TYPE_CHECKING:  # a checker would take any name for one of these
    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "sib.distributed.launcher": [
                "launched",
                "leave",
                "refuse",
                "should_report",
                "should_print",
            ],
            "sib.distributed.processes": [
                "is_main_process",
                "all_gather_object",
                "join",
                "all_reduce_max",
                "translate_lost_peer",
                "broadcast_object",
                "rank_seed",
                "raise_any",
                "rank",
                "size",
                "raise_on_all_ranks",
                "all_reduce_sum",
                "broadcast_module",
            ],
            "sib.distributed.shares": ["gather_to_main", "own_places", "share_out"],
            "sib.utils.errors": ["ProcessLost"],
        },
    )
