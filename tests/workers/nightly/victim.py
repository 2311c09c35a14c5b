"""A night that is killed while its encoder learns: the order on stdin, the update as argument."""

import sys

from core.nights import Order
from tests.workers.nightly import shop
from tests.workers.training.victim import KillAt
from workers.nightly.encoder import make_encoder
from workers.training.dataset.folder import open_dataset

if __name__ == "__main__":
    order = Order.from_json(sys.stdin.read())
    make_encoder(order, open_dataset(order.dataset), KillAt(int(sys.argv[1])), **shop.SETTINGS)
