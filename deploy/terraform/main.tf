# A database credential that rotates, locked down. deploy/README.md says how to use it.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  partition = data.aws_partition.this.partition
  account   = data.aws_caller_identity.this.account_id
  region    = data.aws_region.this.region
  function  = "${var.name}-rotation"
  trail_arn = "arn:${local.partition}:cloudtrail:${local.region}:${local.account}:trail/${var.name}"

  has_master     = var.master_secret_arn != null
  has_master_key = var.master_key_arn != null
  has_endpoint   = var.endpoint_security_group_id == null
  counts_reads   = var.create_trail && var.create_alarms

  # policies/ has the output of `secretcache policy`, with variables for what is known only here. tests/access compares the two.
  names = {
    partition   = local.partition
    account     = local.account
    region      = local.region
    secret_name = var.secret_name
    function    = local.function
    application = aws_iam_role.application.arn
    rotation    = aws_iam_role.rotation.arn
    operator    = var.operator_arn
  }
  made = merge(local.names, {
    secret_id  = element(split(":", aws_secretsmanager_secret.this.arn), 6)
    key        = aws_kms_key.secret.arn
    master     = var.master_secret_arn
    master_key = var.master_key_arn
  })
  kind = local.has_master_key ? "-with-master-and-key" : local.has_master ? "-with-master" : ""
}
