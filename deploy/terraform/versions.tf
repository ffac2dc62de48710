terraform {
  required_version = ">= 1.11" # write-only arguments: the first password gets into no state

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}
