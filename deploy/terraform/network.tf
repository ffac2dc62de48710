locals {
  endpoint_security_group_id = local.has_endpoint ? aws_security_group.endpoint[0].id : var.endpoint_security_group_id
}

resource "aws_security_group" "function" {
  name_prefix = "${var.name}-rotation-"
  description = "Function that rotates a secret" # without the name, which can exceed the limit
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "function_to_endpoint" {
  description                  = "Secrets Manager"
  security_group_id            = aws_security_group.function.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = local.endpoint_security_group_id
}

resource "aws_vpc_security_group_egress_rule" "function_to_database" {
  description                  = "Database"
  security_group_id            = aws_security_group.function.id
  ip_protocol                  = "tcp"
  from_port                    = var.database.port
  to_port                      = var.database.port
  referenced_security_group_id = var.database_security_group_id
}

resource "aws_vpc_security_group_ingress_rule" "database_from_function" {
  description                  = "Rotation"
  security_group_id            = var.database_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = var.database.port
  to_port                      = var.database.port
  referenced_security_group_id = aws_security_group.function.id
}

resource "aws_security_group" "endpoint" {
  count = local.has_endpoint ? 1 : 0

  name_prefix = "${var.name}-endpoint-"
  description = "Endpoint of Secrets Manager"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "endpoint_from_function" {
  description                  = "Rotation"
  security_group_id            = local.endpoint_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = aws_security_group.function.id
}

resource "aws_vpc_security_group_ingress_rule" "endpoint_from_application" {
  description                  = "Application"
  security_group_id            = local.endpoint_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = var.application_security_group_id
}

resource "aws_vpc_endpoint" "this" {
  count = local.has_endpoint ? 1 : 0

  vpc_endpoint_type   = "Interface"
  service_name        = "com.amazonaws.${local.region}.secretsmanager"
  private_dns_enabled = true
  vpc_id              = var.vpc_id
  subnet_ids          = var.subnet_ids
  security_group_ids  = [aws_security_group.endpoint[0].id]
  policy              = templatefile("${path.module}/policies/endpoint${local.has_master ? "-with-master" : ""}.json", local.made)
}
