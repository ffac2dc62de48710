//! Rotations on real servers, which the tests start.

mod api_key;
mod defects;
mod dependent;
mod forged;
mod http_users;
mod ldap;
mod mariadb;
mod mysql;
mod namesakes;
mod ownership;
mod passwordless;
mod postgres;
mod redis;
mod redis_kept;
mod replicas;
mod service;
mod situations;
mod statements;
mod support;
mod survival;
mod survives;
mod survives_redis;
mod trust;
mod users;
mod whose;
mod wire;
