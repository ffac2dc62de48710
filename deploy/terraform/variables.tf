variable "name" {
  description = "Prefix for the names of resources, such as checkout"
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,28}[a-z0-9]$", var.name))
    error_message = "2 to 30 lower-case letters, digits and hyphens, because the names of bucket, roles and function begin with it."
  }
}

variable "secret_name" {
  description = "Name of the secret, with a path, such as prod/checkout/db"
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9/_+=.@-]{0,504}[A-Za-z0-9/_+=.@]$", var.secret_name)) && !can(regex("-[A-Za-z0-9]{6}$", var.secret_name))
    error_message = "1 to 505 letters, digits and /_+=.@-, with no hyphen at the end, and none before the last six letters or digits, because that looks like the end of an ARN."
  }
}

variable "owner" {
  description = "Person or team responsible for the secret; becomes the tag owner"
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9 _.:/=+@-]{1,256}$", var.owner))
    error_message = "1 to 256 letters, digits, spaces and _.:/=+-@, as allowed in tags."
  }
}

variable "engine" {
  description = "Engine of the database"
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

  validation {
    condition     = var.strategy != "dual-password" || contains(["mysql", "aurora-mysql", "mariadb", "redis", "valkey"], var.engine)
    error_message = "A user of PostgreSQL has one password; choose alternating-users."
  }
}

variable "database" {
  description = "The database: host, port, name (not used for Redis)"
  type = object({
    host = string
    port = number
    name = optional(string, "")
  })

  validation {
    condition     = can(regex("^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$", var.database.host))
    error_message = "host is a host name or an IPv4 address, without port."
  }

  validation {
    condition     = var.database.port >= 1 && var.database.port <= 65535 && floor(var.database.port) == var.database.port
    error_message = "port is a whole number from 1 to 65535."
  }

  validation {
    condition     = can(regex("^[A-Za-z0-9_.$-]{0,64}$", var.database.name))
    error_message = "name has up to 64 letters, digits and _.$-."
  }
}

variable "username" {
  description = "User whose password rotates"
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_][A-Za-z0-9_.@$#+-]{0,62}$", var.username))
    error_message = "1 to 63 letters, digits and _.@$#+-, the first one a letter, a digit or _."
  }
}

variable "initial_password" {
  description = "The user's current password; the first rotation, right after the deployment, replaces it"
  type        = string
  sensitive   = true
  ephemeral   = true

  validation {
    condition     = can(regex("^[ !#-\\[\\]-~]{1,256}$", var.initial_password))
    error_message = "1 to 256 printable ASCII characters, neither a double quote nor a backslash."
  }
}

variable "master_secret_arn" {
  description = "ARN of the administrator's secret; needed by alternating-users"
  type        = string
  default     = null

  validation {
    condition     = var.master_secret_arn == null || can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@!-]+-[A-Za-z0-9]{6}$", var.master_secret_arn))
    error_message = "The whole ARN of a secret, with the six characters at its end."
  }
}

variable "master_key_arn" {
  description = "ARN of the customer managed key of the administrator's secret; null for aws/secretsmanager"
  type        = string
  default     = null

  validation {
    condition     = var.master_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.master_key_arn))
    error_message = "The ARN of a key, not of an alias."
  }

  validation {
    condition     = var.master_key_arn == null || var.master_secret_arn != null
    error_message = "master_key_arn needs master_secret_arn."
  }
}

variable "master_host" {
  description = "HOST or HOST:PORT where the administrator logs in, if the administrator's secret has no host (RDS's secrets have none)"
  type        = string
  default     = null

  validation {
    condition     = var.master_host == null || can(regex("^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?$", var.master_host))
    error_message = "HOST or HOST:PORT."
  }
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

  validation {
    condition     = can(regex("^(rate\\([1-9][0-9]{0,3} (hours?|days?)\\)|cron\\([0-9A-Za-z*,/#?-]+( [0-9A-Za-z*,/#?-]+){5}\\))$", var.schedule.expression))
    error_message = "expression is rate(N hours), rate(N days), or cron() with six fields."
  }

  validation {
    condition     = can(regex("^([1-9]|1[0-9]|2[0-4])h$", var.schedule.duration))
    error_message = "duration is 1h to 24h."
  }
}

variable "operator_arn" {
  description = "ARN of the role that deploys this and maintains rotations; only it, the application and the rotation can reach the secret"
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", var.operator_arn))
    error_message = "The ARN of a role."
  }
}

variable "application_service" {
  description = "Service that runs the application and can assume its role"
  type        = string
  default     = "ecs-tasks.amazonaws.com"

  validation {
    condition     = can(regex("^[a-z0-9.-]+[.]amazonaws[.]com$", var.application_service))
    error_message = "The name of a service, such as ecs-tasks.amazonaws.com."
  }
}

variable "package" {
  description = "Path of the package that `make lambda` builds"
  type        = string
}

variable "architecture" {
  description = "Architecture that the package was built for: x86_64 or arm64"
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "One of x86_64 and arm64."
  }
}

variable "vpc_id" {
  description = "VPC of application and database, with DNS support and DNS host names enabled"
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets in at least two zones, for the function and the endpoint"
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "At least two subnets, in different zones."
  }
}

variable "application_security_group_id" {
  description = "Security group of the application"
  type        = string
}

variable "database_security_group_id" {
  description = "Security group of the database; it gets a rule that admits the function"
  type        = string
}

variable "endpoint_security_group_id" {
  description = "Security group of the VPC's existing endpoint for Secrets Manager; null to create an endpoint"
  type        = string
  default     = null

  validation {
    condition     = var.endpoint_security_group_id == null || can(regex("^sg-[0-9a-f]+$", var.endpoint_security_group_id))
    error_message = "The id of a security group."
  }
}

variable "create_trail" {
  description = "false if a trail already records management events, reads included"
  type        = bool
  default     = true
}

variable "create_alarms" {
  description = "false if this module has already created the alarms of this account and Region"
  type        = bool
  default     = true
}

variable "reads_per_hour" {
  description = "Number of reads of secrets in an hour above which an alarm goes off"
  type        = number
  default     = 500

  validation {
    condition     = var.reads_per_hour >= 1
    error_message = "One or more."
  }
}

variable "notification_email" {
  description = "Email address for alarms; null for none"
  type        = string
  default     = null

  validation {
    condition     = var.notification_email == null || can(regex("^[^@\\s]+@[^@\\s]+$", var.notification_email))
    error_message = "An email address."
  }
}
