"""The commands of ``sib`` by name: where each one's options and its code are.

The places are text, so that a command loads its own code and no other's.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Command(NamedTuple):
    """One command; both places are ``MODULE:NAME``."""

    options: str
    """Dataclass of the options; its module loads without torch."""
    action: str
    """Function of the options and a rich console."""
    reads_files: bool = True
    """Whether options can come from a file, ``--config FILE.yaml``."""
    several_processes: bool = False
    """Whether torchrun may start several processes of it."""
    below: Mapping[str, str] = MappingProxyType({})
    """Commands of its own, with the place of each one's options."""


COMMANDS = {
    "train": Command("sib.config.train:TrainConfig", "sib.cli.train:train", several_processes=True),
    "evaluate": Command(
        "sib.config.evaluate:EvaluateConfig",
        "sib.evaluation.evaluate:evaluate_and_show",
        several_processes=True,
    ),
    "explain": Command(
        "sib.config.evaluate:ExplainConfig",
        "sib.evaluation.explain:explain",
        several_processes=True,
    ),
    "audit": Command("sib.config.audit:AuditConfig", "sib.cli.audit:audit", several_processes=True),
    "compare": Command("sib.config.report:CompareConfig", "sib.evaluation.compare:compare"),
    "report": Command("sib.config.report:ReportConfig", "sib.report.command:report"),
    "predict": Command("sib.config.deploy:PredictConfig", "sib.evaluation.predict:predict"),
    "export": Command("sib.config.deploy:ExportConfig", "sib.evaluation.export:export"),
    "study": Command("sib.config.study:StudyConfig", "sib.study.command:study", reads_files=False),
    "demo": Command("sib.config.demo:DemoConfig", "sib.cli.demo:demo"),
    "recipes": Command("sib.config.recipes:RecipesConfig", "sib.config.recipes:show_recipes"),
    "data": Command(
        "sib.config.data:DataConfig",
        "sib.cli.data:data",
        reads_files=False,
        below={
            "prepare": "sib.config.data:PrepareConfig",
            "check": "sib.config.data:CheckConfig",
            "show": "sib.config.data:ShowConfig",
            "make-spurious": "sib.config.data:MakeSpuriousConfig",
        },
    ),
}
