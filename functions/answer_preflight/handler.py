"""Tell a browser, before a page calls the API, whether that page may."""

from casefile.origins import preflight


@preflight
def handle() -> dict[str, str]:
    """The same for every route: what a caller may do there, the token decides."""
    return {
        "Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
        "Allow-Headers": "Authorization, Content-Type, Idempotency-Key, X-Api-Key",
        "Max-Age": "3600",
    }
