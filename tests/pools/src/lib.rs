//! Pools of Rust drivers that stay connected while a secret rotates. Copy the module for your pool.

pub mod with_bb8;
pub mod with_deadpool;
pub mod with_diesel;
pub mod with_fred;
pub mod with_sqlx;
