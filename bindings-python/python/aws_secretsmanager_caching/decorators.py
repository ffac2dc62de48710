"""Decorators that pass a secret to a function on every call (secretcache's drop-in for AWS's caching library)."""

from secretcache._decorators import InjectKeywordedSecretString, InjectSecretString

__all__ = ["InjectKeywordedSecretString", "InjectSecretString"]
