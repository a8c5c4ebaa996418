"""Where a request comes from: whose address, over which scheme, from whose page."""

from fastapi import Request

from ops_service.http.networks import caller_of, is_within


def address_of(request: Request) -> str | None:
    """The caller's address; behind trusted proxies the one they forward."""
    address = caller_of(request, request.app.state.settings.trusted_proxies)
    return str(address) if address else None


def is_https(request: Request) -> bool:
    """True when the browser speaks TLS, to us or to a trusted proxy."""
    return "https" in (request.url.scheme, _forwarded(request, "x-forwarded-proto"))


def is_from_our_page(request: Request) -> bool | None:
    """True for a request of our own page, False for another site's, None when the client does not say.

    Browsers say Sec-Fetch-Site to https and localhost only, and Origin with every unsafe method.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    if origin is None:
        return None
    ours = _forwarded(request, "x-forwarded-host") or request.headers.get("host", "")
    return origin.partition("://")[2].lower() == ours.lower() != ""


def _forwarded(request: Request, header: str) -> str | None:
    """The header's value, where a trusted proxy sent it; of a chain of proxies that of the browser's side."""
    proxies = request.app.state.settings.trusted_proxies
    if not is_within(caller_of(request, ()), proxies):
        return None
    return request.headers.get(header, "").partition(",")[0].strip().lower() or None
