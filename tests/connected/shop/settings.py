"""Settings of the project. DATABASE in the environment says which database, and how connections are kept."""

import json
import os

SECRET_KEY = "of no use"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["shop"]
ROOT_URLCONF = "shop.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "Europe/Berlin"  # not the server's, so that each connection has to be told
DATABASES = {"default": json.loads(os.environ["DATABASE"])}
