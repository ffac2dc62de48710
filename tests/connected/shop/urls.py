"""The views of the project. Each response is the user of the database connection."""

from typing import Any

from asgiref.sync import sync_to_async
from django.db import connection, transaction
from django.http import HttpResponse
from django.urls import path

from shop.models import Order


def order(_: Any) -> HttpResponse:
    """Write and read in a transaction."""
    with transaction.atomic():
        made = Order.objects.create(article="pen")
        Order.objects.select_for_update().get(pk=made.pk)
        return HttpResponse(who())


async def order_later(_: Any) -> HttpResponse:
    """Write and read with Django's asynchronous interface."""
    made = await Order.objects.acreate(article="pen")
    async for each in Order.objects.filter(pk=made.pk):
        await each.adelete()
    return HttpResponse(await sync_to_async(who)())


def who() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT session_user")
        return cursor.fetchone()[0]


urlpatterns = [path("order", order), path("order-later", order_later)]
