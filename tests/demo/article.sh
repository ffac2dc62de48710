aws secretsmanager create-secret \
  --name prod/checkout/db \
  --secret-string '{"username":"app","password":"REPLACE_ME","host":"checkout.abc123.us-east-1.rds.amazonaws.com","port":5432,"dbname":"checkout"}'
