"""``sib audit``: audit, write, show and compare."""

from functools import partial

from rich.console import Console

from sib import distributed
from sib.config.audit import AuditConfig
from sib.evaluation.audit.difference import differences
from sib.evaluation.audit.measure import audit, open_audited
from sib.evaluation.audit.table import audit_rows, audit_table, difference_rows, difference_table
from sib.evaluation.stored import AUDIT, Evaluation
from sib.utils.terminal import show_tables, suggest


def audit_and_show(config: AuditConfig, console: Console) -> list[Evaluation]:
    """Audit every run, write the files beside it, and show the findings.

    Args:
        config: the command's options.
        console: for the progress bar and the tables.

    Returns:
        The audits, in the order of the runs.

    Raises:
        InputError: bad input, in one sentence.
    """
    distributed.join(config.device)
    distributed.raise_on_all_ranks(lambda: [open_audited(config, run) for run in config.runs[1:]])
    audits = []
    for run in config.runs:
        found = audit(config, run, console)
        distributed.raise_on_all_ranks(partial(_save, found))
        audits.append(found)
    if not distributed.is_main_process():
        return audits
    compared = differences(audits, config.resamples) if len(audits) > 1 else None
    tables = [audit_table(found) for found in audits]
    rows = [row for found in audits for row in audit_rows(found)]
    if compared:
        tables += [difference_table(group, compared) for group in compared["groups"]]
        rows += difference_rows(compared)
    show_tables(console, tables, rows)
    for found in audits:
        console.print(f"written to {found.folder}", highlight=False, markup=False, soft_wrap=True)
    if config.page is None:
        suggest(console, ("audit", *config.runs, "--page", "audit.html"))
    return audits


def _save(found: Evaluation) -> None:
    """Write the files of an audit, in one process only."""
    if distributed.is_main_process():
        AUDIT.save(found.folder, found.scores, found.facts)
