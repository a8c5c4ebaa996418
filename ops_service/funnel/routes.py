"""GET /api/v1/onboard/funnel."""

from ops_service.auth.guard import Reader, guarded_router
from ops_service.funnel.parameters import AskedFunnel
from ops_service.funnel.reading import funnel_of
from ops_service.funnel.schemas import FunnelBody
from ops_service.http.parameters import DatabaseOf, Now

router = guarded_router("/api/v1/onboard", "onboard")


@router.get("/funnel")
def read_funnel(database: DatabaseOf, _reader: Reader, now: Now, asked: AskedFunnel) -> FunnelBody:
    """How far sessions with activity in the window have come, and where the open ones stand."""
    with database.read() as connection:
        found = funnel_of(connection, asked)
    return FunnelBody.model_validate({**found, "generated_at": now})
