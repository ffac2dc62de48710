"""Settings of the project. The environment variable DATABASE configures the database and its connections."""

import json
import os

SECRET_KEY = "of no use"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["shop"]
ROOT_URLCONF = "shop.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "Europe/Berlin"  # not the server's, so that each connection must set it
DATABASES = {"default": json.loads(os.environ["DATABASE"])}
