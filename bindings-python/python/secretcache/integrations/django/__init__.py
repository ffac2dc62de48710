"""Django's database backends, which log in with a secret: ``django.postgresql`` and ``django.mysql``."""
