"""Pictures of where a venue lies, drawn by Google's static maps; the link carries a key and signature if there are."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from ticketing.settings import Settings
from ticketing.web.operations import Call

SERVER = "https://maps.googleapis.com"


@dataclass(frozen=True, slots=True)
class Maps:
    """What map links are made with; both are optional."""

    key: str = ""
    signing_secret: str = ""

    def url(self, latitude: float, longitude: float) -> str:
        """The link to a map with a mark at the point."""
        point = f"{_degrees(latitude)},{_degrees(longitude)}"
        query = f"center={point}&zoom=15&size=600x300&maptype=roadmap&markers=color:red%7C{point}"
        path = f"/maps/api/staticmap?{query}"
        if self.key:
            path += f"&key={self.key}"
            if self.signing_secret:
                path += f"&signature={sign(path, self.signing_secret)}"
        return SERVER + path


def maps_of(call: Call) -> Maps:
    """How this server's settings want map links to be."""
    settings = call.the(Settings)
    return Maps(settings.maps_key, settings.maps_signing_secret)


def sign(path: str, secret: str) -> str:
    """Google's URL signature of a path with its query; the secret is URL-safe base64.

    See https://developers.google.com/maps/documentation/maps-static/digital-signature.
    """
    key = base64.urlsafe_b64decode(secret)
    return base64.urlsafe_b64encode(hmac.digest(key, path.encode(), hashlib.sha1)).decode()


@lru_cache(maxsize=4096)
def _degrees(angle: float) -> str:
    """The number without an exponent and without a fraction of zeros: `17`, `-61.8456`."""
    return f"{Decimal(repr(angle)).normalize():f}"
