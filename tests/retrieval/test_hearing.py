"""The ear that ships hears in languages what the words alone do not say."""

from core.turn import Meaning
from retrieval.encoder import open_encoder
from retrieval.hearing import open_ear
from tests.fakes.encoder import FakeEncoder


async def test_it_hears_need_in_a_language_that_it_did_not_learn_from() -> None:
    ear = open_ear(open_encoder(threads=1))
    assert ear is not None
    urgent = "Ho bisogno del pacco entro stasera, è urgentissimo"
    assert await ear.hear(urgent) is Meaning.URGENT
    assert await ear.hear("Quanto costa la spedizione in Svizzera?") is Meaning.QUESTION


def test_there_is_none_for_an_encoder_that_it_was_not_made_for() -> None:
    assert open_ear(FakeEncoder()) is None
