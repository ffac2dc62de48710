locals {
  # Events that raise an alarm. A rule in state ENABLED does not get reads.
  rules = {
    rotation-failed = {
      description = "A rotation failed or was abandoned"
      state       = "ENABLED"
      detail      = { eventName = ["RotationFailed", "RotationAbandoned"] }
    }
    secret-deleted = {
      description = "A secret was scheduled for deletion"
      state       = "ENABLED"
      detail      = { eventName = ["DeleteSecret"] }
    }
    policy-changed = {
      description = "A secret's resource policy changed"
      state       = "ENABLED"
      detail      = { eventName = ["PutResourcePolicy", "DeleteResourcePolicy"] }
    }
    value-written = {
      description = "A principal other than the rotation wrote a value"
      state       = "ENABLED"
      detail = {
        eventName = ["PutSecretValue", "UpdateSecret"]
        "$or" = [
          { userIdentity = { sessionContext = { sessionIssuer = { arn = [{ exists = false }] } } } },
          { userIdentity = { sessionContext = { sessionIssuer = { arn = [{ anything-but = [aws_iam_role.rotation.arn] }] } } } },
        ]
      }
    }
    read-denied = {
      description = "A read of a secret was refused"
      state       = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
      detail = {
        eventName = ["GetSecretValue"]
        errorCode = [{ exists = true }]
      }
    }
  }
}

resource "aws_sns_topic" "alarms" {
  count = var.create_alarms ? 1 : 0

  name              = "${var.name}-alarms"
  display_name      = "Alarms about secrets"
  kms_master_key_id = aws_kms_key.records.arn
}

data "aws_iam_policy_document" "publish" {
  count = var.create_alarms ? 1 : 0

  statement {
    sid       = "Alarms"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms[0].arn]
    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:cloudwatch:${local.region}:${local.account}:alarm:*"]
    }
  }

  # EventBridge does not set aws:SourceArn or aws:SourceAccount here, so a condition would never match.
  statement {
    sid       = "Rules"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms[0].arn]
    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }
  }
}

resource "aws_sns_topic_policy" "alarms" {
  count = var.create_alarms ? 1 : 0

  arn    = aws_sns_topic.alarms[0].arn
  policy = data.aws_iam_policy_document.publish[0].json
}

resource "aws_sns_topic_subscription" "email" {
  count = var.create_alarms && var.notification_email != null ? 1 : 0

  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = var.notification_email
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = { for name, rule in local.rules : name => rule if var.create_alarms }

  name        = "${var.name}-${each.key}"
  description = each.value.description
  state       = each.value.state
  event_pattern = jsonencode({
    source = ["aws.secretsmanager"]
    detail = merge({ eventSource = ["secretsmanager.amazonaws.com"] }, each.value.detail)
  })
}

resource "aws_cloudwatch_event_target" "this" {
  for_each = aws_cloudwatch_event_rule.this

  rule      = each.value.name
  target_id = "sns"
  arn       = aws_sns_topic.alarms[0].arn
}

resource "aws_cloudwatch_log_metric_filter" "reads" {
  count = local.counts_reads ? 1 : 0

  name           = "${var.name}-reads"
  log_group_name = aws_cloudwatch_log_group.trail[0].name
  pattern        = "{ ($.eventSource = \"secretsmanager.amazonaws.com\") && ($.eventName = \"GetSecretValue\") }"

  metric_transformation {
    namespace     = var.name
    name          = "SecretReads"
    value         = "1"
    default_value = "0"
  }
}

resource "aws_cloudwatch_metric_alarm" "reads" {
  count = local.counts_reads ? 1 : 0

  alarm_name          = "${var.name}-reads"
  alarm_description   = "More than ${var.reads_per_hour} reads of secrets in an hour"
  namespace           = var.name
  metric_name         = "SecretReads"
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = 1
  threshold           = var.reads_per_hour
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms[0].arn]
}
