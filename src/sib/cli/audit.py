"""``sib audit``: the audit, and a page about it where one is wanted."""

from rich.console import Console

from sib import distributed
from sib.config.audit import AuditConfig
from sib.data import Splits
from sib.evaluation.audit.command import audit_and_show
from sib.evaluation.audit.measure import open_audited
from sib.evaluation.checkpoint import Checkpoint
from sib.evaluation.stored import Evaluation


def audit(config: AuditConfig, console: Console) -> None:
    """Audit, show and, with ``--page``, draw.

    Raises:
        InputError: bad input, in one sentence.
    """
    audits = audit_and_show(config, console)
    if config.page is None or not distributed.is_main_process():
        return
    from sib.report.audit import write_page  # with jinja2 and matplotlib, which only this needs

    runs = {id(found): run for found, run in zip(audits, config.runs, strict=True)}

    def opened(found: Evaluation) -> tuple[Checkpoint, Splits]:
        return open_audited(config, runs[id(found)])

    write_page(config.page, audits, opened, config.device, console)
