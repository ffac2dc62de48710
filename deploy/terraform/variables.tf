variable "name" {
  description = "Prefix of the names of what is made, such as checkout"
  type        = string
}

variable "secret_name" {
  description = "Name of the secret, with a path, such as prod/checkout/db"
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9/_+=.@-]+$", var.secret_name)) && !can(regex("-[A-Za-z0-9]{6}$", var.secret_name))
    error_message = "Letters, digits and /_+=.@-, and no end of a hyphen and six characters, which looks like the end of an ARN."
  }
}

variable "owner" {
  description = "Who looks after the secret; becomes the tag owner"
  type        = string
}

variable "engine" {
  description = "What the credential is for"
  type        = string

  validation {
    condition     = contains(["postgres", "aurora-postgresql", "mysql", "aurora-mysql", "mariadb", "redis", "valkey"], var.engine)
    error_message = "One of postgres, aurora-postgresql, mysql, aurora-mysql, mariadb, redis and valkey."
  }
}

variable "strategy" {
  description = "single-user changes the one password; alternating-users lets two users take turns and needs an administrator's secret; dual-password keeps the old password valid until the next rotation (MySQL, MariaDB, Redis)"
  type        = string
  default     = "alternating-users"

  validation {
    condition     = contains(["single-user", "alternating-users", "dual-password"], var.strategy)
    error_message = "One of single-user, alternating-users and dual-password."
  }

  validation {
    condition     = var.strategy != "alternating-users" || var.master_secret_arn != null
    error_message = "alternating-users needs master_secret_arn."
  }
}

variable "database" {
  description = "Where the database is: host, port, name (of no use to Redis)"
  type = object({
    host = string
    port = number
    name = optional(string, "")
  })
}

variable "username" {
  description = "User whose password rotates"
  type        = string
}

variable "initial_password" {
  description = "The user's present password; the first rotation, right after the deployment, replaces it"
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "master_secret_arn" {
  description = "ARN of the administrator's secret; needed by alternating-users"
  type        = string
  default     = null
}

variable "master_key_arn" {
  description = "ARN of the customer managed key of the administrator's secret; null for aws/secretsmanager"
  type        = string
  default     = null
}

variable "master_host" {
  description = "HOST or HOST:PORT where the administrator logs in, if the administrator's secret names none, as RDS's do not"
  type        = string
  default     = null
}

variable "schedule" {
  description = "When the secret rotates, in UTC, and how long the window is open"
  type = object({
    expression = string
    duration   = string
  })
  default = {
    expression = "cron(0 3 1 * ? *)"
    duration   = "3h"
  }
}

variable "operator_arn" {
  description = "ARN of the role that deploys this and looks after rotations; it, the application and the rotation alone reach the secret"
  type        = string
}

variable "application_service" {
  description = "Service that runs the application, and may assume its role"
  type        = string
  default     = "ecs-tasks.amazonaws.com"
}

variable "package" {
  description = "Path of the package that `make lambda` builds"
  type        = string
}

variable "architecture" {
  description = "What the package was built for: x86_64 or arm64"
  type        = string
  default     = "x86_64"
}

variable "vpc_id" {
  description = "VPC of application and database, with DNS support and DNS host names on"
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets in two zones or more, for the function and the endpoint"
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "Two subnets or more, in different zones."
  }
}

variable "application_security_group_id" {
  description = "Security group of the application"
  type        = string
}

variable "database_security_group_id" {
  description = "Security group of the database; the function is let in"
  type        = string
}

variable "endpoint_security_group_id" {
  description = "Security group of the endpoint that the VPC has for Secrets Manager; null to create an endpoint"
  type        = string
  default     = null
}

variable "create_trail" {
  description = "false where a trail records management events already, reads included"
  type        = bool
  default     = true
}

variable "create_alarms" {
  description = "false where this module made the alarms of this account and Region already"
  type        = bool
  default     = true
}

variable "reads_per_hour" {
  description = "More reads of secrets in an hour than this raise an alarm"
  type        = number
  default     = 500
}

variable "notification_email" {
  description = "Address that is told of alarms; null for none"
  type        = string
  default     = null
}
