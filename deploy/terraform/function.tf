resource "aws_lambda_function" "rotation" {
  # checkov:skip=CKV_AWS_115:Secrets Manager starts one rotation of a secret at a time
  # checkov:skip=CKV_AWS_116:nothing gets lost, Secrets Manager calls again, and RotationFailed raises an alarm
  # checkov:skip=CKV_AWS_173:the variables hold names, no secrets
  # checkov:skip=CKV_AWS_272:the deploying team builds the package from source
  # checkov:skip=CKV_AWS_50:a trace would show no more than the log does
  function_name    = local.function
  description      = "Rotates a secret"
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]
  filename         = var.package
  source_code_hash = filebase64sha256(var.package)
  role             = aws_iam_role.rotation.arn
  timeout          = 60
  memory_size      = 256

  environment {
    variables = {
      SECRETCACHE_STRATEGY      = var.strategy
      SECRETCACHE_ENGINE        = var.engine
      SECRETCACHE_MASTER_SECRET = var.master_secret_arn == null ? "" : var.master_secret_arn
      SECRETCACHE_MASTER_HOST   = var.master_host == null ? "" : var.master_host
    }
  }

  vpc_config {
    subnet_ids         = var.subnet_ids
    security_group_ids = [aws_security_group.function.id]
  }

  depends_on = [aws_iam_role_policy.rotation, aws_cloudwatch_log_group.function]
}

resource "aws_cloudwatch_log_group" "function" {
  name              = "/aws/lambda/${local.function}"
  retention_in_days = 400
  kms_key_id        = aws_kms_key.records.arn
}

resource "aws_lambda_permission" "secrets_manager" {
  function_name  = aws_lambda_function.rotation.function_name
  action         = "lambda:InvokeFunction"
  principal      = "secretsmanager.amazonaws.com"
  source_account = local.account
}
