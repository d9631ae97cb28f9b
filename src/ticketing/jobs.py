"""All jobs of all packages."""

from .accounts.jobs import jobs as accounts
from .admissions.jobs import jobs as admissions
from .kit.jobs import Jobs
from .mail.jobs import jobs as mail
from .orders.jobs import jobs as orders
from .payments.jobs import jobs as payments
from .sessions.jobs import jobs as sessions

JOBS = Jobs("ticketing").include([accounts, admissions, mail, orders, payments, sessions])
