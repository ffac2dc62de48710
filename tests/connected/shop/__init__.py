"""A Django project, which `test_django` serves with gunicorn while its secret rotates."""
