"""What a refusal of the API says to somebody who filled in a form: a sentence per field, and one for the whole."""

import re
from collections.abc import Mapping

from ticketing.languages import Language

from .client import Answer
from .words import N_

_REQUIRED = re.compile(r"The following arguments are required, but have not been supplied: (.*)\.")
_INVALID = re.compile(r"The following arguments have invalid values: (.*)\.")
_TAKEN = re.compile(r"The following arguments conflict with those of another (\w+): (.*)\.")

FILL_IN = N_("Please fill this in.")
CHECK = N_("Please check this.")
TAKEN = N_("Somebody else has this already.")
SOME_FIELDS = N_("Some fields need another look.")

# Texts of the contract, as people should hear them.
SAYINGS = {
    "A session cannot be started with the given password.": N_(
        "This password does not fit. Passwords are case-sensitive."
    ),
    "The requested account could not be located": N_("We know no account by that name or address."),
    "This account has been deactivated.": N_("This account is closed. Write to us if that surprises you."),
    "An order for the requested tickets could not be placed at this time. Please try again.": N_(
        "These tickets could not be held: somebody may have been faster. Below is what is left now."
    ),
    "The price has changed.": N_(
        "The price has changed since you looked. Please look at the new total before you go on."
    ),
    "You have reached the limit of tickets or open orders.": N_(
        "You have as many tickets for this event, or unpaid orders, as one person may have."
    ),
    "Free tickets are for accounts with a verified e-mail address.": N_(
        "Free tickets are for verified addresses: please verify yours first, under your account."
    ),
    "The provided account verification code is incorrect.": N_("This code is not right. Look at the newest letter."),
    "The provided password reset code is incorrect.": N_("This code is not right. Look at the newest letter."),
    "The verification has already been completed or has expired.": N_(
        "This code is used or too old. Ask for a new one."
    ),
    "The password reset has already been completed or has expired.": N_(
        "This code is used or too old. Ask for a new one."
    ),
    "The sender does not hold sufficient itckets in their wallet to complete this transfer": N_(
        "You do not have that many tickets to give."
    ),
    "The sender cannot transfer tickets to themselves.": N_("These tickets are yours already."),
    "This transfer can no longer be claimed.": N_("These tickets were taken back, or claimed already."),
    "This order has no tickets that could be sent.": N_(
        "There is nothing to send: its tickets were handed on, given back, or are on their way to somebody."
    ),
    "The global admission token cannot be modified or invalidated.": N_(
        "The code for the whole event cannot be changed."
    ),
    "The event has already been submitted or cancelled.": N_("The event is with the reviewers already, or cancelled."),
    "An event cannot be deleted while it has sections with sold tickets.": N_(
        "Tickets were sold: cancel the event instead, so that everybody gets his money back."
    ),
    "The capacity cannot be lower than the number of tickets already sold or reserved.": N_(
        "So many tickets are sold or held already; the capacity cannot be lower."
    ),
    "A section cannot be deleted while it has paid tickets.": N_(
        "Tickets of this section are paid for; it cannot be removed."
    ),
    "An account cannot be deleted while it holds tickets to upcoming events.": N_(
        "You hold tickets to coming events. Hand them on or use them first."
    ),
    "An account cannot be deleted while it is the only administrator of a host with upcoming events.": N_(
        "You alone run a host with coming events. Name somebody else first."
    ),
}


def faults_of(answer: Answer, language: Language) -> dict[str, str]:
    """What is wrong with which field, by the names of the API's members."""
    found: dict[str, str] = {}
    for pattern, saying in ((_REQUIRED, FILL_IN), (_INVALID, CHECK)):
        if match := pattern.fullmatch(answer.text):
            found = dict.fromkeys(match[1].split(", "), language.say(saying))
    if match := _TAKEN.fullmatch(answer.text):
        found = dict.fromkeys(match[2].split(", "), language.say(TAKEN))
    for name, sentence in answer.details.items():
        said = language.say(sentence)
        if name in found and (said != sentence or language.code == "en"):
            found[name] = said[:1].upper() + said[1:] + ("" if said.endswith((".", "!", "?")) else ".")
    return found


def trouble_of(answer: Answer, language: Language, fields: Mapping[str, object] | None = None) -> str:
    """The sentence for the whole form; `fields`: those that show their own faults."""
    if answer.status == 429:
        return language.say(N_("That was too often in a short time. Wait a few minutes and try again."))
    if answer.status == 503:
        return language.say(N_("Very many people are here right now. Nothing happened yet: please try again."))
    if answer.status >= 500:
        return language.say(N_("Something went wrong on our side. Please look at your orders before you try again."))
    if answer.text in SAYINGS:
        return language.say(SAYINGS[answer.text])
    faults = faults_of(answer, language)
    if faults and (fields is None or set(faults) <= set(fields)):
        return language.say(SOME_FIELDS)
    if faults:
        return " ".join(f"{name}: {sentence}" for name, sentence in faults.items())
    return language.say(answer.text)
