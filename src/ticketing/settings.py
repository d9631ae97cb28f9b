"""Every knob, typed, read once at start and passed on; `docs/configuration.md` is made from this table."""

import base64
import difflib
import functools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .kit.colours import ensure_readable
from .kit.money import parse_bands
from .languages import LANGUAGES, PSEUDO
from .web.addresses import parse_networks

PREFIX = "TICKETING_"
LARGEST = 2_000_000_000
MAY_BE_ZERO = (
    *("tickets_per_customer", "free_tickets_per_customer", "session_idle_minutes", "session_minutes", "metrics_port"),
    *("address_traffic_per_minute", "answers_kept", "sessions_per_account"),
    *("keep_sessions_days", "keep_letters_days", "keep_refused_scans_days", "keep_history_days"),
)
PAYMENT_PROVIDERS = ("sandbox", "stripe")
LONGEST_PAYMENT_SECONDS = 7

READ_ELSEWHERE = {  # by the command line, and by the programs that the documentation shows
    *("TICKETING_DATA_DIR", "TICKETING_URL", "TICKETING_API_KEY"),
    *("TICKETING_ADMIN_USERNAME", "TICKETING_ADMIN_PASSWORD"),
}

# What Docker and Kubernetes tell of services whose name begins like ours: TICKETING_PORT_8000_TCP_ADDR and the like.
_INJECTED = re.compile(r"TICKETING_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)")
_ADDRESS = re.compile(r"[!-?A-~]+@[A-Za-z0-9.-]+")  # what every mail server takes
_STRIPE_KEY = re.compile(r"[sr]k_[A-Za-z0-9_]+", re.ASCII)
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


class BadSetting(ValueError):
    """A setting that cannot be used; one sentence for the person at the terminal."""


def _knob(default: Any, description: str, *, secret: bool = False, name: str = "") -> Any:
    return field(default=default, metadata={"description": description, "secret": secret, "name": name})


@dataclass(frozen=True)
class Settings:
    """The settings of one process. Secrets may also be given as NAME_FILE, a path to a file that holds the value."""

    database_url: str = _knob(
        "", "PostgreSQL to use (14 or later); unset: the embedded one", secret=True, name="DATABASE_URL"
    )
    secret: str = _knob(
        "", "the server's secret, 32 characters or more; unset: a 0600 file in the data folder", secret=True
    )
    secret_previous: str = _knob(
        "", "the secret before it, while it is being changed: see [the secret](operations.md#the-secret)", secret=True
    )
    minimum_client_version: str = _knob("3.0.0", "oldest `X-Client-Version` that is served")
    hold_seconds: int = _knob(900, "how long a placed order holds its places")
    tickets_per_order: int = _knob(50, "most tickets in one order")
    open_orders_per_customer: int = _knob(50, "most orders a customer may have waiting for payment")
    tickets_per_customer: int = _knob(50, "most tickets of one customer per event; 0: no limit")
    free_tickets_per_customer: int = _knob(
        0, "most tickets of one customer per event in orders that cost nothing, with those that he has; 0: as paid ones"
    )
    free_tickets_verified: str = _knob("off", "`on`: orders that cost nothing are for verified e-mail addresses only")
    hold_back_changes: str = _knob(
        "off",
        "`on`: what hosts change of approved events (title, description, pictures, place, dates) waits for approval",
    )
    fees: str = _knob(
        "50:0.99,100:1.99,150:2.99,200:3.99,:4.99",
        "fee per ticket by its price, `up to:fee`; free tickets have none",
    )
    currency: str = _knob("USD", "currency of all prices, ISO 4217")
    payment_provider: str = _knob("sandbox", "who takes the money: `sandbox` (test cards, moves none) or `stripe`")
    payment_timeout_seconds: int = _knob(
        5, "how long the provider is waited for before a payment is answered with 202; at most 7"
    )
    stripe_key: str = _knob("", "secret or restricted key of the Stripe account", secret=True)
    stripe_webhook_secret: str = _knob(
        "", "signing secret of the webhook endpoint at Stripe (`whsec_...`); unset: there is no webhook", secret=True
    )
    stripe_return_url: str = _knob(
        "", "page to which a bank sends the customer back; unset: Stripe's library in the browser stays on its page"
    )
    stripe_publishable_key: str = _knob(
        "", "publishable key (`pk_...`) for the pages' card element; unset: none is shown"
    )
    stripe_script: str = _knob("https://js.stripe.com/v3/", "where Stripe's script is; another address for tests alone")
    stripe_api: str = _knob("https://api.stripe.com", "where Stripe's API is; another address for tests alone")
    session_idle_minutes: int = _knob(43_200, "how long a session may lie unused (30 days); 0: for ever")
    session_minutes: int = _knob(525_600, "how long a session lasts at most (a year); 0: for ever")
    trusted_proxies: str = _knob(
        "", "networks of proxies whose `X-Forwarded-For` is believed, comma-separated (`10.0.0.0/8`); empty: none"
    )
    rate_limits: str = _knob("on", "`off` for none")
    traffic_per_minute: int = _knob(
        6000,
        "what an account may send per minute and worker, and a public key from one address: requests, of which one"
        " with a password counts for five, a search, a file or a picture for ten",
    )
    address_traffic_per_minute: int = _knob(
        60_000, "what one address may send per minute and worker, by all its keys; 0: no limit; loopback has none"
    )
    connections_per_address: int = _knob(
        256, "connections of one address per worker; beyond it idle ones are closed; trusted proxies have no such bound"
    )
    requests_at_once: int = _knob(256, "requests of one address under way at once per worker")
    answers_kept: int = _knob(
        20_000, "answers kept for Idempotency-Keys of one person, or of visitors from one address; 0: no limit"
    )
    sessions_per_account: int = _knob(
        200, "open sessions of one account; the next ends the one that was not used for longest; 0: no limit"
    )
    failures_per_minute: int = _knob(300, "refused requests of one address per minute and worker")
    wrong_passwords: int = _knob(10, "wrong passwords for one account within 15 minutes, over all workers")
    wrong_codes: int = _knob(
        30, "wrong gate codes of one address within 15 minutes, over all workers; wrong mailed codes: 20 times as many"
    )
    mailed_code_minutes: int = _knob(30, "how long a code sent by mail is good for")
    mailed_code_tries: int = _knob(5, "wrong codes after which a verification, a reset or a sign-in expires")
    wrong_mailed_codes: int = _knob(
        10,
        "wrong mailed codes for one account (or address) in a day, also without rate limits; then none is taken",
    )
    registrations_per_hour: int = _knob(500, "accounts registered from one address within an hour, over all workers")
    invitations_per_day: int = _knob(
        50, "invitations to run hosts that one account makes in a day, also without limits"
    )
    declined_payments: int = _knob(30, "declined payments of one customer within 15 minutes, over all workers")
    mailed_codes: int = _knob(20, "codes mailed to one account or address within an hour, over all workers")
    resent_orders: int = _knob(3, "times that the tickets of one order are mailed again within an hour")
    resent_letters: int = _knob(20, "letters with tickets that one customer is mailed again within a day")
    cors_origins: str = _knob(
        "", "origins allowed to call from a browser, comma-separated (`http://localhost:*`: any port); empty: none"
    )
    media_url: str = _knob("", "where images are served, absolute; unset: `/media` of the host that was asked")
    maps_key: str = _knob("", "Google Maps key for venue maps", secret=True)
    maps_signing_secret: str = _knob("", "signing secret that belongs to the key (base64)", secret=True)
    platform_name: str = _knob("TickeTing", "what the platform calls itself, in pages and mail")
    pages: str = _knob("on", "`off`: the API alone, without pages for people at `/`")
    public_url: str = _knob(
        "", "where people reach the pages, `https://tickets.example.com`; unset: by whatever name a browser asks for"
    )
    logo_url: str = _knob("", "picture shown in place of the name, absolute or a path")
    accent: str = _knob("#a8234f", "colour of buttons and links; white on it must be readable")
    imprint_url: str = _knob("", "page that says who runs this, linked below every page")
    privacy_url: str = _knob("", "page about personal data, linked below every page")
    languages: str = _knob(
        "en,es,fr,de", "languages that pages and mail offer, comma-separated; the first is the default"
    )
    mail: str = _knob(
        "",
        "how mail leaves: `smtp`, `folder` (as `.eml` files), or `none`; unset: `smtp` when a mail host is set, else"
        " `folder`",
    )
    mail_from: str = _knob("", "sender's address, `tickets@example.com` or `TickeTing <tickets@example.com>`")
    mail_host: str = _knob("", "mail server that takes our mail")
    mail_port: int = _knob(587, "its port")
    mail_security: str = _knob("starttls", "`starttls`, `tls` (from the first byte, usually port 465), or `none`")
    mail_user: str = _knob("", "user at the mail server; empty: no login")
    mail_password: str = _knob("", "password at the mail server", secret=True)
    mail_ca_file: str = _knob("", "certificates (PEM) to trust at the mail server beside the system's")
    mail_folder: str = _knob("", "where `folder` writes; unset: `mail` in the data folder")
    dev_pages: str = _knob(
        "off", "`on`: browsers on this machine see the mail of `folder` at `/dev/mail`; never for real"
    )
    keep_sessions_days: int = _knob(365, "how long a session stays in its owner's list after its end; 0: for ever")
    keep_letters_days: int = _knob(90, "how long it is kept which letters were sent to whom; 0: for ever")
    refused_scans_per_gate: int = _knob(
        5000, "refused scans of one gate that are stored in a day (UTC), of an event ten times as many; more: counted"
    )
    keep_refused_scans_days: int = _knob(180, "how long refused scans are kept; 0: for ever")
    keep_history_days: int = _knob(1095, "how long it is kept who did what to which thing (3 years); 0: for ever")
    pool_size: int = _knob(12, "database connections per worker")
    metrics_port: int = _knob(0, "port on which Prometheus finds `/metrics`; 0: nothing is counted")
    metrics_host: str = _knob("127.0.0.1", "address of that port; whoever reaches it may read it")
    log_format: str = _knob("auto", "`json`, `pretty`, or `auto`: pretty in a terminal")

    def __post_init__(self) -> None:
        for name in ("secret", "secret_previous"):
            if 0 < len(getattr(self, name)) < 32:
                raise BadSetting(f"{variable(name)} is shorter than 32 characters.")
        for name in ("rate_limits", "free_tickets_verified", "hold_back_changes", "dev_pages", "pages"):
            if getattr(self, name) not in ("on", "off"):
                raise BadSetting(f"{variable(name)} is neither `on` nor `off`.")
        if not _is_base64(self.maps_signing_secret):
            raise BadSetting("TICKETING_MAPS_SIGNING_SECRET is not base64.")
        try:
            parse_bands(self.fees)
        except ValueError as error:
            raise BadSetting(f"TICKETING_FEES: {error}") from None
        if self.log_format not in ("auto", "json", "pretty"):
            raise BadSetting("TICKETING_LOG_FORMAT is none of `auto`, `json`, `pretty`.")
        self._ensure_payments()
        self._ensure_mail()
        self._ensure_pages()
        try:
            parse_networks(self.trusted_proxies)
        except ValueError as error:
            raise BadSetting(f"TICKETING_TRUSTED_PROXIES: {error}.") from None
        self._ensure_numbers()

    def _ensure_numbers(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, int) and value < (0 if one.name in MAY_BE_ZERO else 1):
                raise BadSetting(f"{variable(one.name)} is too small: {value}.")
            if isinstance(value, int) and value > LARGEST:
                raise BadSetting(f"{variable(one.name)} is too large: {value}.")

    def _ensure_payments(self) -> None:
        if self.payment_provider not in PAYMENT_PROVIDERS:
            raise BadSetting(f"TICKETING_PAYMENT_PROVIDER is none of {', '.join(PAYMENT_PROVIDERS)}.")
        if self.payment_timeout_seconds > LONGEST_PAYMENT_SECONDS:
            raise BadSetting("TICKETING_PAYMENT_TIMEOUT_SECONDS is above 7: clients give up after ten.")
        if self.payment_provider == "stripe" and not self.stripe_key:
            raise BadSetting("Payments by Stripe need TICKETING_STRIPE_KEY.")
        if self.stripe_key and not _STRIPE_KEY.fullmatch(self.stripe_key):
            raise BadSetting("TICKETING_STRIPE_KEY is no secret (`sk_`) or restricted (`rk_`) key.")
        if not _is_safe(self.stripe_api):
            raise BadSetting("TICKETING_STRIPE_API is not https: the key would travel in the clear.")
        if self.stripe_return_url and not _is_safe(self.stripe_return_url):
            raise BadSetting("TICKETING_STRIPE_RETURN_URL is no https address.")

    def _ensure_mail(self) -> None:
        if self.mail not in ("", "smtp", "folder", "none"):
            raise BadSetting("TICKETING_MAIL is none of `smtp`, `folder`, `none`.")
        if self.mail_security not in ("starttls", "tls", "none"):
            raise BadSetting("TICKETING_MAIL_SECURITY is none of `starttls`, `tls`, `none`.")
        if self.mail_from and not (_ADDRESS.fullmatch(self.mail_address) and self.mail_from.isprintable()):
            raise BadSetting("TICKETING_MAIL_FROM is no e-mail address.")
        if self.mail_transport != "smtp":
            return
        if not self.mail_host or not self.mail_from:
            raise BadSetting("Mail by SMTP needs TICKETING_MAIL_HOST and TICKETING_MAIL_FROM.")
        if self.mail_security == "none" and self.mail_password and self.mail_host not in _THIS_MACHINE:
            raise BadSetting("TICKETING_MAIL_SECURITY is `none`: the mail password would travel in the clear.")

    def _ensure_pages(self) -> None:
        if self.public_url and not (_is_safe(self.public_url) and self.public_url == origin_of(self.public_url)):
            raise BadSetting(
                "TICKETING_PUBLIC_URL is no origin: `https://` and a name, no path (`http://` on this machine alone)."
            )
        try:
            ensure_readable(self.accent)
        except ValueError as error:
            raise BadSetting(f"TICKETING_ACCENT: {error}.") from None
        unknown = [code for code in self.offered_languages if code not in (*LANGUAGES, PSEUDO)]
        if unknown or not self.offered_languages:
            raise BadSetting(f"TICKETING_LANGUAGES: what is spoken is {', '.join(LANGUAGES)}.")

    @property
    def offered_languages(self) -> tuple[str, ...]:
        """The languages of pages and mail, the default first."""
        return tuple(code.strip() for code in self.languages.split(",") if code.strip())

    @property
    def mail_transport(self) -> str:
        """`smtp`, `folder` or `none`, with the default made out."""
        if self.mail in ("smtp", "none"):
            return self.mail
        if self.mail_host and not self.mail:
            return "smtp"
        return "folder" if self.mail_folder else "none"

    @property
    def mail_address(self) -> str:
        """The sender's bare address."""
        return parseaddr(self.mail_from)[1] or "tickets@localhost"

    @property
    def mail_domain(self) -> str:
        """What stands behind the @ of the sender."""
        return self.mail_address.rsplit("@", 1)[1]


def _is_safe(url: str) -> bool:
    """Whether it is an address that nobody between here and there listens to."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _THIS_MACHINE)
    )


def origin_of(url: str) -> str:
    """Scheme and host of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _is_base64(text: str) -> bool:
    try:
        base64.urlsafe_b64decode(text)
    except ValueError:
        return False
    return True


def variable(name: str) -> str:
    """The environment variable of a setting."""
    for one in fields(Settings):
        if one.name == name and one.metadata["name"]:
            return str(one.metadata["name"])
    return PREFIX + name.upper()


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings that the environment holds.

    Raises BadSetting naming the variable and what is wrong with it; a name that nothing reads is wrong too.
    """
    _ensure_known(environment)
    values: dict[str, Any] = {}
    for one in fields(Settings):
        name = variable(one.name)
        text = environment.get(name, "")
        if one.metadata["secret"] and not text and (path := environment.get(f"{name}_FILE", "")):
            try:
                text = Path(path).read_text().strip()
            except OSError as error:
                raise BadSetting(f"{name}_FILE cannot be read: {error.strerror}.") from None
        if not text:
            continue
        if one.type is int or one.type == "int":
            try:
                values[one.name] = int(text)
            except ValueError:
                raise BadSetting(f"{name} is not a whole number: {text}.") from None
        else:
            values[one.name] = text
    return Settings(**values)


def injected(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Variables that look like ours and come from a cluster, which describes its services so; nothing reads them."""
    return [name for name in _unknown(environment) if _INJECTED.fullmatch(name)]


def _ensure_known(environment: Mapping[str, str]) -> None:
    for name in _unknown(environment):
        if _INJECTED.fullmatch(name):
            continue
        near = difflib.get_close_matches(name, _known(), n=1, cutoff=0.7)
        raise BadSetting(f"There is no setting {name}" + (f"; {near[0]} is meant, perhaps." if near else "."))


def _unknown(environment: Mapping[str, str]) -> list[str]:
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in _known())


@functools.cache
def _known() -> frozenset[str]:
    names = {variable(one.name) for one in fields(Settings)}
    files = {f"{variable(one.name)}_FILE" for one in fields(Settings) if one.metadata["secret"]}
    return frozenset(names | files | READ_ELSEWHERE)


def table() -> str:
    """The settings as a Markdown table."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for one in fields(Settings):
        file = f" (or `{variable(one.name)}_FILE`)" if one.metadata["secret"] else ""
        default = f"`{one.default}`" if one.default != "" else ""
        lines.append(f"| `{variable(one.name)}`{file} | {default} | {one.metadata['description']} |")
    return "\n".join(lines)
