resource "aws_kms_key" "secret" {
  description             = "Encrypts ${var.secret_name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = templatefile("${path.module}/policies/kms.json", local.names)
}

resource "aws_secretsmanager_secret" "this" {
  name        = var.secret_name
  description = "Login of ${var.username} at ${var.database.host}"
  kms_key_id  = aws_kms_key.secret.arn
  tags        = { owner = var.owner }

  lifecycle {
    prevent_destroy = true
  }
}

# Written once; the rotation writes later values.
resource "aws_secretsmanager_secret_version" "first" {
  secret_id = aws_secretsmanager_secret.this.id
  secret_string_wo = jsonencode({
    engine   = var.engine
    host     = var.database.host
    port     = var.database.port
    dbname   = var.database.name
    username = var.username
    password = var.initial_password
    ssl      = true
  })
  secret_string_wo_version = 1

  lifecycle {
    ignore_changes = [version_stages]
  }
}

resource "aws_secretsmanager_secret_policy" "this" {
  secret_arn          = aws_secretsmanager_secret.this.arn
  block_public_policy = true
  policy              = templatefile("${path.module}/policies/resource.json", local.names)

  depends_on = [aws_secretsmanager_secret_version.first]
}

resource "aws_secretsmanager_secret_rotation" "this" {
  secret_id           = aws_secretsmanager_secret.this.id
  rotation_lambda_arn = aws_lambda_function.rotation.arn
  rotate_immediately  = true

  rotation_rules {
    schedule_expression = var.schedule.expression
    duration            = var.schedule.duration
  }

  depends_on = [
    aws_lambda_permission.secrets_manager,
    aws_secretsmanager_secret_policy.this,
    aws_vpc_endpoint.this,
    aws_vpc_security_group_ingress_rule.endpoint_from_function,
    aws_vpc_security_group_ingress_rule.database_from_function,
    aws_vpc_security_group_egress_rule.function_to_endpoint,
    aws_vpc_security_group_egress_rule.function_to_database,
  ]
}
