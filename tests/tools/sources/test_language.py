"""is_english: which texts an English embedding model can be expected to know."""

import pytest

from tools.sources.language import is_english


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("The export crashes when the sheet is empty, and nothing is written to the log.", ""),
        ("play madonna", "What does the user want?"),
        ("", ""),
        ("404", ""),
        ("fix typo in README", "Which type does this commit have?"),
    ],
)
def test_english(text: str, question: str) -> None:
    assert is_english(text, question)


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("La aplicación se cierra sola al pulsar Guardar y no queda nada en el registro.", ""),
        ("El pedido llegó roto y nadie contesta al teléfono desde hace días.", "Which label fits the text?"),
        ("bloquear tarjeta", "¿Qué quiere hacer el cliente del banco?"),
        ("Die Anwendung stürzt beim Speichern ab und schreibt nichts in das Protokoll.", ""),
        ("L'application se ferme toute seule quand on appuie sur Enregistrer.", ""),
        ("приложение закрывается само при нажатии на кнопку и ничего не пишет", ""),
    ],
)
def test_other_languages(text: str, question: str) -> None:
    assert not is_english(text, question)
