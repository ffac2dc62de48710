"""pydantic-settings: the fields of a secret as settings.

>>> class Settings(BaseSettings):  # doctest: +SKIP
...     api_key: SecretStr
...     @classmethod
...     def settings_customise_sources(cls, settings_cls, init_settings, **others):
...         return init_settings, SecretSource(settings_cls, cache, "prod/payments")
"""

from __future__ import annotations

from pydantic_settings import InitSettingsSource

from secretcache import _fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

    from secretcache import SecretCache


class SecretSource(InitSettingsSource):
    """The fields of the current version of a secret that is a JSON object.

    Settings keep the value that was current when you created them. Create them again to see a rotation; this makes no
    call while the secret is in memory. For logins, use another integration.
    """

    def __init__(self, settings_cls: type[BaseSettings], cache: SecretCache, secret_id: str) -> None:
        self._secret_id = secret_id
        value = cache.get_secret_value(secret_id)
        super().__init__(settings_cls, dict(_fields.fields(secret_id, value)))

    def __repr__(self) -> str:
        return f"SecretSource(secret_id={self._secret_id!r})"
