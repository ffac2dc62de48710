//! `secretcache-pools POOL SECRET HOST PORT`: for each line on standard input, asks the server for the current user,
//! once through a long-lived pool and once through a new one, and prints both answers or the error. The first shows
//! that connections are replaced, the second that new ones can be made.

use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};

use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::Text};
use fred::prelude::{AclInterface, ClientLike, Config, ServerConfig};
use redis::ConnectionAddr;
use secretcache::SecretCache;
use secretcache_pools::*;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};

type Failure = Box<dyn Error + Send + Sync>;

const WHO: &str = "SELECT session_user::text AS name";

#[derive(Clone)]
struct Place {
    cache: SecretCache,
    id: String,
    host: String,
    port: u16,
}

/// A pool through which to ask for the current user.
enum Pool {
    Deadpool(with_deadpool::Pool),
    Bb8(bb8::Pool<with_bb8::Manager>),
    Sqlx(with_sqlx::RotatingPool),
    Diesel(with_diesel::Pool),
    Fred(fred::clients::Client),
}

#[derive(QueryableByName)]
struct User {
    #[diesel(sql_type = Text)]
    name: String,
}

impl Pool {
    async fn new(name: &str, place: &Place) -> Result<Self, Failure> {
        let Place { cache, id, host, port } = place.clone();
        Ok(match name {
            "deadpool" => {
                let mut config = tokio_postgres::Config::new();
                config.host(host).port(port).dbname("postgres");
                Self::Deadpool(with_deadpool::pool(cache, &id, config))
            }
            "bb8" => {
                let address = ConnectionAddr::Tcp(host, port);
                Self::Bb8(
                    bb8::Pool::builder().max_size(4).build(with_bb8::Manager { cache, id, address }).await?,
                )
            }
            "sqlx" => {
                let options =
                    PgConnectOptions::new_without_pgpass().host(&host).port(port).database("postgres");
                let options = options.ssl_mode(PgSslMode::Disable);
                let pool = PgPoolOptions::new().max_connections(4).connect_lazy_with(options);
                Self::Sqlx(with_sqlx::RotatingPool::new(pool, cache, &id))
            }
            "diesel" => {
                let target = format!("host={host} port={port} dbname=postgres sslmode=disable");
                let manager = with_diesel::Manager { cache, id, target };
                Self::Diesel(with_diesel::Pool::builder().max_size(2).min_idle(Some(0)).build(manager)?)
            }
            "fred" => {
                let config =
                    Config { server: ServerConfig::new_centralized(host, port), ..Config::default() };
                let client = with_fred::client(cache, &id, config)?;
                client.init().await?;
                Self::Fred(client)
            }
            _ => return Err(format!("there is no pool {name}").into()),
        })
    }

    async fn who(&self) -> Result<String, Failure> {
        Ok(match self {
            Self::Deadpool(pool) => pool.get().await?.client.query_one(WHO, &[]).await?.get(0),
            Self::Bb8(pool) => {
                let mut connection = pool.get().await?;
                redis::cmd("ACL").arg("WHOAMI").query_async(&mut connection.redis).await?
            }
            Self::Sqlx(pool) => sqlx::query_scalar(WHO).fetch_one(&mut *pool.acquire().await?).await?,
            Self::Diesel(pool) => {
                let pool = pool.clone();
                let ask = move || {
                    let found: User = sql_query(WHO).get_result(&mut pool.get()?.postgres)?;
                    Ok::<_, Failure>(found.name)
                };
                tokio::task::spawn_blocking(ask).await??
            }
            Self::Fred(client) => client.acl_whoami().await?,
        })
    }

    /// Closes what dropping the pool does not: a client of fred would reconnect, and log in, until the program exits.
    async fn end(self) -> Result<(), Failure> {
        match self {
            Self::Fred(client) => Ok(client.quit().await?),
            _ => Ok(()),
        }
    }
}

async fn who_once(pool: Pool) -> Result<String, Failure> {
    let name = pool.who().await;
    pool.end().await?;
    name
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [name, id, host, port] = &arguments[..] else {
        return Err("usage: secretcache-pools POOL SECRET HOST PORT".into());
    };
    let cache = SecretCache::builder().build()?;
    let _watch = cache.watch(id);
    let place = Place { cache, id: id.clone(), host: host.clone(), port: port.parse()? };
    let lasting = std::sync::Arc::new(Pool::new(name, &place).await?);
    for line in stdin().lock().lines() {
        line?;
        let new = Pool::new(name, &place).await?;
        // Like in a server: from a task that can run on any thread.
        let shared = std::sync::Arc::clone(&lasting);
        let answer =
            tokio::spawn(async move { Ok::<_, Failure>((shared.who().await?, who_once(new).await?)) })
                .await?;
        match answer {
            Ok((lasting, new)) => writeln!(stdout(), "{lasting} {new}")?,
            Err(error) => writeln!(stdout(), "failed: {error}")?,
        }
        stdout().flush()?;
    }
    Ok(writeln!(stdout(), "{:?}", place.cache.stats().logins)?)
}
