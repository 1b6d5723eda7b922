"""The capable models under test and the texts they are asked about."""

import pytest

LARGER, SMALLER = "qwen2.5-coder-1.5b", "qwen2.5-coder-0.5b"

BOTH = pytest.mark.parametrize("model", [LARGER, SMALLER], scope="session")
LARGER_ONLY = pytest.mark.parametrize("model", [LARGER], scope="session")

DEADLINE_S = 800
"""Deadline of one call: the longest, over the handbook, takes three minutes on two idle cores."""

TICKETS = {
    "The invoice total is wrong and I was charged twice on my credit card.": "billing",
    "My parcel has not arrived, the tracking page says it left the warehouse a week ago.": "shipping",
    "I forgot my password and cannot log in.": "account",
}
REVIEWS = {
    "I love this product, it works perfectly and the support is great.": "positive",
    "Este producto es horrible, se rompió al segundo día y nadie contesta.": "negative",
    "Estoy encantada con la compra: llegó a tiempo y funciona de maravilla.": "positive",
}
KINDS = {
    "bug": "something does not work as it should",
    "feature": "a wish for something new",
    "question": "somebody wants to know something",
}
ISSUES = {
    "Export crashes on empty sheets: IndexError in writer.py line 88.": "bug",
    "Feature request: it would be great to have a dark mode.": "feature",
    "Error: la aplicación se cierra sola al pulsar Guardar.": "bug",
}

FAILURE = """\
=================================== FAILURES ===================================
_______________________ test_the_total_counts_quantities _______________________

cart = Cart(lines=[Line(sku='BOOK-1', quantity=1), Line(sku='PEN-3', quantity=4)])

    def test_the_total_counts_quantities(cart):
>       assert cart.total() == Decimal("17.29")
E       AssertionError: assert Decimal('13.69') == Decimal('17.29')

tests/test_cart.py:21: AssertionError
=========================== short test summary info ============================
FAILED tests/test_cart.py::test_the_total_counts_quantities - AssertionError
========================= 1 failed, 12 passed in 0.34s =========================
"""

COMPLAINT = """\
Hola:

Soy Carmen Ruiz, de Sevilla. Hice el pedido 48213 el 3 de marzo de 2026 y la lámpara de mesa llegó rota.
El importe fue de 59,90 euros. Por favor, devuélvanme el dinero o envíenme otra lámpara.

Un saludo,
Carmen Ruiz
"""

INVOICE = "Invoice 2026-117. Customer: Northwind Ltd. Total due: 1,250.00 EUR by 2026-04-30."

PERSON = "Maria Lopez, 34, lives in Valencia and works as a nurse."

COUNCIL = """\
The city council of Bergen voted on Tuesday to close the harbour road to cars from June to August.
Pedestrians and cyclists may use it, and buses get a lane of their own. Shop owners had asked for a
longer trial, but the mayor said the summer would show whether the plan works. The council will decide in
September whether it stays closed for good.
"""

AYUNTAMIENTO = """\
El ayuntamiento de Valencia aprobó el martes cerrar al tráfico la avenida del puerto durante el verano.
Peatones y ciclistas podrán usarla, y los autobuses tendrán su propio carril. Los comerciantes pedían una
prueba más larga, pero la alcaldesa dijo que el verano mostrará si el plan funciona. En septiembre el
ayuntamiento decidirá si la avenida queda cerrada para siempre.
"""

RELEASES = """\
## 2.0.1
- Fixed: the update from 1.x left the table of permissions empty.

## 2.0.0
- The REST API has version 2; version 1 answers until the end of 2026.
- Removed: SQLite is no longer supported in production; use PostgreSQL 14 or newer.

## 1.9.4
- Fixed: exports with more than a million rows ran out of memory.
"""

ASIDES = {
    9: "The key to the server room hangs behind the green door of the kitchen.",
    50: "The yearly rehearsal of a full restore is on the second Friday of October.",
    90: "Whoever breaks the build brings a carrot cake.",
}
"""Sentences that occur once in the handbook, after the service of this number."""


def handbook() -> str:
    """Returns similar descriptions of a hundred services, 12,000 tokens in all."""
    first = ("amber", "birch", "coral", "dune", "ember", "fjord", "grove", "heath", "iris", "jade")
    last = ("anvil", "basin", "comet", "delta", "easel", "ferry", "gable", "haven", "inlet", "jetty")
    names = [f"{one}-{other}" for one in first for other in last]
    return "# Handbook of the services\n\n" + "\n\n".join(map(_described, range(len(names)), names))


def _described(number: int, name: str) -> str:
    owners = ("Ana", "Ben", "Chloe", "Dario", "Elif", "Farid", "Greta")
    return (
        f"## {name}\n\nThe service {name} listens on port {4100 + 7 * number} and is looked after by "
        f"{owners[number % 7]} and {owners[(number * 3 + 1) % 7]}. "
        f"It keeps its data in database {number % 9 + 1} and is backed up at {number % 24:02}:"
        f"{number * 7 % 60:02} every night; backups are kept for {20 + number % 11} days. "
        f"When it does not answer within {2 + number % 5} seconds, look at its log on host "
        f"node-{number % 13 + 1:02}, restart it there, and tell the others in the channel #ops-{name}. "
        f"A restart takes about {15 + number % 40} seconds and loses no requests, because the balancer "
        f"holds them back for a minute. {ASIDES.get(number, '')}"
    ).rstrip()


FILES = {
    "tickets.txt": "\n".join(TICKETS),
    "failure.txt": FAILURE,
    "complaint.txt": COMPLAINT,
    "releases.md": RELEASES,
    "handbook.md": handbook(),
}
