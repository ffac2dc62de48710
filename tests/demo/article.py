from aws_secretsmanager_caching import SecretCache, SecretCacheConfig
import boto3, json

client = boto3.client("secretsmanager")
cache = SecretCache(
    config=SecretCacheConfig(secret_refresh_interval=300),
    client=client,
)

def get_db_creds():
    raw = cache.get_secret_string("prod/checkout/db")
    return json.loads(raw)
