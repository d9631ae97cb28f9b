"""What a host may say of itself."""

import re

_WEBSITE = re.compile(r"(?:https?://)?[^\s/:@?#]+(?::\d{1,5})?(?:[/?#]\S*)?", re.IGNORECASE)


def is_website(text: str) -> bool:
    """Whether this is a web address, with or without its scheme.

    Clients make links of it, so no other scheme (`javascript:`) may pass.
    """
    return _WEBSITE.fullmatch(text) is not None
