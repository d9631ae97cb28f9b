"""Where images are served, and serving them."""

from .kit.operations import Call
from .settings import Settings


def media_url(call: Call) -> str:
    """The absolute URL that image names are appended to: the setting, or `/media` of the host that was asked."""
    configured = call.the(Settings).media_url
    if configured:
        return configured.rstrip("/")
    return f"{call.scope['scheme']}://{call.header('host') or 'localhost'}/media"
