"""A project of Django's, as `test_django` serves it with gunicorn while its secret rotates."""
