"""What is declared of the onboarding process: its stages' ranks, and what its events' data mean.

The stages and their event types stand in `portal_hooks.contract`, which portals share.
"""

from portal_hooks.contract import COMPLETED, EVENT_TYPES, FAILED, INFRA_SYNCED, STAGES

# A failure ranks just below completion: of the two at one instant, completion has the last word.
RANK = {kind: rank for rank, kind in enumerate((*EVENT_TYPES[:-2], FAILED, COMPLETED), start=1)}

LAST_STAGE = len(STAGES) - 1

MAY_REPORT_INFRA = (INFRA_SYNCED, COMPLETED)

TYPES_WITH_FACTS = (*MAY_REPORT_INFRA, FAILED)
"""The event types whose `data` the fold reads; of all others it needs none."""

INFRA_OUTCOMES = {
    "ok": "synced",
    "success": "synced",
    "synced": "synced",
    "true": "synced",
    "error": "failed",
    "failed": "failed",
    "warn": "failed",
    "warning": "failed",
    "false": "failed",
    "skipped": "skipped",
    "disabled": "skipped",
}
