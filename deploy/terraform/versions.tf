terraform {
  required_version = ">= 1.11" # for write-only arguments, which keep the first password out of the state

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}
