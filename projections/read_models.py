"""The read models that follow from the sessions' rows. To add one, see docs/projections.md."""

from typing import Final

from projections import funnel_daily
from projections.sessions import ReadModel

READ_MODELS: Final[tuple[ReadModel, ...]] = (funnel_daily.READ_MODEL,)
