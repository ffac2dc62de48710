output "secret_arn" {
  description = "The secret"
  value       = aws_secretsmanager_secret.this.arn
}

output "key_arn" {
  description = "The secret's key"
  value       = aws_kms_key.secret.arn
}

output "application_role_arn" {
  description = "The role for the application"
  value       = aws_iam_role.application.arn
}

output "rotation_role_arn" {
  description = "The rotation function's role"
  value       = aws_iam_role.rotation.arn
}

output "function_arn" {
  description = "The rotation function"
  value       = aws_lambda_function.rotation.arn
}

output "function_security_group_id" {
  description = "The rotation function's security group"
  value       = aws_security_group.function.id
}

output "endpoint_id" {
  description = "The VPC endpoint; null if the VPC already had one"
  value       = one(aws_vpc_endpoint.this[*].id)
}

output "topic_arn" {
  description = "The topic for alarms; null without alarms"
  value       = one(aws_sns_topic.alarms[*].arn)
}
