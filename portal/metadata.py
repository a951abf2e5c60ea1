"""Every table of the portal, in one place for migrations and tests."""

from __future__ import annotations

from portal.accounts import models as accounts
from portal.analytics import models as analytics
from portal.booking import models as booking
from portal.checkin import models as checkin
from portal.disruptions import models as disruptions
from portal.factors import models as factors
from portal.flights import models as flights
from portal.kit import audit, idempotency, mail, outbox
from portal.kit.model import Base
from portal.payments import models as payments
from portal.places import models as places
from portal.pricing import models as pricing
from portal.pricing import promotions
from portal.privacy import models as privacy
from portal.seats import models as seats
from portal.tickets import models as tickets
from portal.tokens import models as tokens
from portal.watches import models as watches

ROOMS = (
    accounts,
    analytics,
    audit,
    booking,
    checkin,
    disruptions,
    factors,
    flights,
    idempotency,
    mail,
    outbox,
    payments,
    places,
    pricing,
    privacy,
    promotions,
    seats,
    tickets,
    tokens,
    watches,
)
metadata = Base.metadata
