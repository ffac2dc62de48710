data "aws_iam_policy_document" "assume" {
  for_each = toset([var.application_service, "lambda.amazonaws.com"])

  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = [each.key]
    }
  }
}

resource "aws_iam_role" "application" {
  name               = "${var.name}-application"
  description        = "Reads ${var.secret_name}"
  assume_role_policy = data.aws_iam_policy_document.assume[var.application_service].json
}

resource "aws_iam_role_policy" "application" {
  name   = "read-secret"
  role   = aws_iam_role.application.id
  policy = templatefile("${path.module}/policies/app.json", local.made)
}

resource "aws_iam_role" "rotation" {
  name               = "${var.name}-rotation"
  description        = "Rotates ${var.secret_name}"
  assume_role_policy = data.aws_iam_policy_document.assume["lambda.amazonaws.com"].json
}

resource "aws_iam_role_policy" "rotation" {
  name   = "rotate-secret"
  role   = aws_iam_role.rotation.id
  policy = templatefile("${path.module}/policies/rotation${local.kind}.json", local.made)
}
