# Reads of secrets are management events; there are no data events for them.

resource "aws_kms_key" "records" {
  description             = "Encrypts the trail, logs and alarms about ${var.secret_name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy = templatefile("${path.module}/policies/records-key.json", merge(local.names, {
    name      = var.name
    trail_arn = local.trail_arn
  }))
}

resource "aws_s3_bucket" "trail" {
  # checkov:skip=CKV_AWS_18:CloudTrail's data events record who reads it, if you need that
  # checkov:skip=CKV_AWS_144:one Region stores the trail of all; replicate it if you must
  # checkov:skip=CKV2_AWS_62:alarms read CloudTrail's log group
  count = var.create_trail ? 1 : 0

  bucket_prefix = "${var.name}-trail-"
}

resource "aws_s3_bucket_server_side_encryption_configuration" "trail" {
  count = var.create_trail ? 1 : 0

  bucket = aws_s3_bucket.trail[0].id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.records.arn
    }
  }
}

resource "aws_s3_bucket_ownership_controls" "trail" {
  count = var.create_trail ? 1 : 0

  bucket = aws_s3_bucket.trail[0].id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "trail" {
  count = var.create_trail ? 1 : 0

  bucket                  = aws_s3_bucket.trail[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "trail" {
  count = var.create_trail ? 1 : 0

  bucket = aws_s3_bucket.trail[0].id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "trail" {
  count = var.create_trail ? 1 : 0

  bucket = aws_s3_bucket.trail[0].id
  rule {
    id     = "old-versions"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = 400
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

resource "aws_s3_bucket_policy" "trail" {
  count = var.create_trail ? 1 : 0

  bucket = aws_s3_bucket.trail[0].id
  policy = templatefile("${path.module}/policies/trail-bucket.json", merge(local.names, {
    bucket    = aws_s3_bucket.trail[0].arn
    trail_arn = local.trail_arn
  }))
}

resource "aws_cloudwatch_log_group" "trail" {
  count = var.create_trail ? 1 : 0

  name              = "/aws/cloudtrail/${var.name}"
  retention_in_days = 400
  kms_key_id        = aws_kms_key.records.arn
}

data "aws_iam_policy_document" "assume_by_trail" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["cloudtrail.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceArn"
      values   = [local.trail_arn]
    }
  }
}

data "aws_iam_policy_document" "write_log" {
  count = var.create_trail ? 1 : 0

  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.trail[0].arn}:log-stream:*"]
  }
}

resource "aws_iam_role" "trail" {
  count = var.create_trail ? 1 : 0

  name               = "${var.name}-trail"
  description        = "Lets CloudTrail write its log group"
  assume_role_policy = data.aws_iam_policy_document.assume_by_trail.json
}

resource "aws_iam_role_policy" "trail" {
  count = var.create_trail ? 1 : 0

  name   = "write-log"
  role   = aws_iam_role.trail[0].id
  policy = data.aws_iam_policy_document.write_log[0].json
}

resource "aws_cloudtrail" "this" {
  # checkov:skip=CKV_AWS_252:a message for every file of the trail is not an alarm; alarms.tf has those
  count = var.create_trail ? 1 : 0

  name                          = var.name
  enable_logging                = true
  is_multi_region_trail         = true
  include_global_service_events = true
  enable_log_file_validation    = true
  s3_bucket_name                = aws_s3_bucket.trail[0].id
  kms_key_id                    = aws_kms_key.records.arn
  cloud_watch_logs_group_arn    = "${aws_cloudwatch_log_group.trail[0].arn}:*"
  cloud_watch_logs_role_arn     = aws_iam_role.trail[0].arn

  advanced_event_selector {
    name = "Management events, reads and writes"
    field_selector {
      field  = "eventCategory"
      equals = ["Management"]
    }
  }

  advanced_event_selector {
    name = "Requests that a VPC endpoint refuses"
    field_selector {
      field  = "eventCategory"
      equals = ["NetworkActivity"]
    }
    field_selector {
      field  = "eventSource"
      equals = ["secretsmanager.amazonaws.com"]
    }
    field_selector {
      field  = "errorCode"
      equals = ["VpceAccessDenied"]
    }
  }

  depends_on = [aws_s3_bucket_policy.trail, aws_iam_role_policy.trail]
}
