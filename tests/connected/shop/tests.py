"""Tests of the project, which `manage.py test` runs in a temporary database."""

from django.db import connection
from django.test import TestCase

from shop.models import Order


class OrderTest(TestCase):
    def test_an_order_is_kept(self) -> None:
        assert self.client.get("/order").status_code == 200
        assert Order.objects.count() == 1
        assert connection.settings_dict["NAME"] == "test_orders"
